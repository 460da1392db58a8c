from uuid import UUID

import pytest

from motovaultpro.core.errors import ForbiddenError
from motovaultpro.core.security.actor import ALL_SCOPES, Actor, Permission, Role, Scope


def actor(scopes: frozenset[Scope]) -> Actor:
    return Actor(
        user_id=1,
        tenant_id=UUID(int=1),
        role=Role.MEMBER,
        scopes=scopes,
        method="api_key",
        session_id=None,
        name="Garage dashboard",
    )


@pytest.mark.parametrize(
    ("role", "includes"),
    [
        (Role.OWNER, [Role.OWNER, Role.ADMIN, Role.MEMBER, Role.VIEWER]),
        (Role.ADMIN, [Role.ADMIN, Role.MEMBER, Role.VIEWER]),
        (Role.MEMBER, [Role.MEMBER, Role.VIEWER]),
        (Role.VIEWER, [Role.VIEWER]),
    ],
)
def test_a_role_includes_itself_and_those_below(role: Role, includes: list[Role]) -> None:
    assert [other for other in Role if role.at_least(other)] == includes


def test_permissions_rise_from_view_to_manage() -> None:
    ladder = [Permission.VIEW, Permission.EDIT, Permission.DELETE, Permission.MANAGE]

    for rank, permission in enumerate(ladder):
        assert [other for other in ladder if permission.at_least(other)] == ladder[: rank + 1]


def test_an_actor_with_all_scopes_may_do_everything() -> None:
    for scope in Scope:
        actor(ALL_SCOPES).require(scope)


@pytest.mark.parametrize("held", Scope)
def test_a_scope_grants_itself_only(held: Scope) -> None:
    limited = actor(frozenset({held}))

    limited.require(held)
    for missing in ALL_SCOPES - {held}:
        with pytest.raises(ForbiddenError, match=missing.value):
            limited.require(missing)
