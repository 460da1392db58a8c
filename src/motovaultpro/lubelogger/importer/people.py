"""Users, API keys and who may do what, as they become here."""

import re
from collections.abc import Mapping
from typing import Final

from motovaultpro.core.security.actor import Permission, Role, Scope
from motovaultpro.lubelogger.importer.fields import Fields, member_of, one_line
from motovaultpro.lubelogger.importer.findings import Findings, Level
from motovaultpro.lubelogger.importer.items import (
    ApiKey,
    Item,
    Share,
    User,
    UserPreferences,
)
from motovaultpro.lubelogger.importer.kinds import PERMISSIONS
from motovaultpro.lubelogger.importer.settings import ROOT_USER_ID, UserSettings
from motovaultpro.lubelogger.importer.source import Source

USERS: Final = "userrecords"
PREFERENCES: Final = "userconfigrecords"
API_KEYS: Final = "apikeyrecords"
SHARES: Final = "shares"
"""Access rows and households together."""
ROOT: Final = str(ROOT_USER_ID)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")
_MAX_EMAIL: Final = 254
_SCOPES: Final[Mapping[str, Scope]] = {name: Scope(name.lower()) for name in PERMISSIONS}


class People:
    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self.users: list[Item[User]] = [*self._root(), *self._members()]
        self._known = {user.source_id for user in self.users}

    def preferences(self, settings: UserSettings) -> list[Item[UserPreferences]]:
        return [
            Item(
                PREFERENCES,
                str(user),
                UserPreferences(str(user), settings.preferences(user)),
            )
            for user in settings.users
            if str(user) in self._known
        ]

    def api_keys(self) -> list[Item[ApiKey]]:
        keys = []
        for document in self._source.of(API_KEYS):
            fields = Fields(API_KEYS, document, self._findings)
            user, key = str(fields.whole("UserId")), fields.text("Key").lower()
            if user not in self._known:
                fields.note(
                    "UserId", f"there is no user {user}; the key is left out", Level.WARNING
                )
                continue
            if not _SHA256.fullmatch(key):
                fields.invalid("Key", "is no SHA-256")
                continue
            stored = fields.raw("Permissions")
            names = (
                member_of(p, PERMISSIONS) for p in (stored if isinstance(stored, list) else ())
            )
            scopes = frozenset(_SCOPES[name] for name in names if name) or frozenset({Scope.VIEW})
            name = fields.line("Name") or f"LubeLogger key {fields.source_id}"
            keys.append(Item(API_KEYS, fields.source_id, ApiKey(user, name, key, scopes)))
        return keys

    def shares(self, vehicles: set[str]) -> list[Item[Share]]:
        """One share for each user and vehicle, the strongest. Collaborators have all rights with LubeLogger."""
        shares: dict[tuple[str, str], Item[Share]] = {}
        parents: dict[str, list[str]] = {}
        for document in self._source.of("useraccessrecords"):
            fields = Fields("useraccessrecords", document, self._findings)
            user, vehicle = _identity(fields, "UserId", "VehicleId")
            if vehicle not in vehicles or user not in self._known:
                fields.note("_id", "its user or vehicle does not exist; it is left out")
                continue
            parents.setdefault(user, []).append(vehicle)
            shares[user, vehicle] = Item(
                SHARES,
                f"{user}:{vehicle}",
                Share(user, vehicle, Permission.MANAGE),
                vehicle,
            )
        for document in self._source.of("userhouseholdrecords"):
            fields = Fields("userhouseholdrecords", document, self._findings)
            parent, child = _identity(fields, "ParentUserId", "ChildUserId")
            if child not in self._known:
                fields.note("_id", "its user does not exist; it is left out")
                continue
            permission = _household_permission(fields)
            for vehicle in parents.get(parent, []):
                known = shares.get((child, vehicle))
                if known is None or not known.value.permission.at_least(permission):
                    shares[child, vehicle] = Item(
                        SHARES,
                        f"{child}:{vehicle}",
                        Share(child, vehicle, permission),
                        vehicle,
                    )
        return list(shares.values())

    def _root(self) -> list[Item[User]]:
        """The built-in user, whom LubeLogger knows by two hashes only."""
        config = self._source.root_config
        name, password = (
            str(config.get(key) or "") for key in ("UserNameHash", "UserPasswordHash")
        )
        if not name and not password:
            return []
        fields = Fields("userConfig.json", {"_id": ROOT}, self._findings)
        if not _SHA256.fullmatch(name) or not _SHA256.fullmatch(password):
            fields.invalid("UserNameHash", "name and password are no SHA-256")
            return []
        user = User(
            name=None,
            name_sha256=bytes.fromhex(name),
            email=None,
            password=password.lower(),
            role=Role.OWNER,
        )
        return [Item(USERS, ROOT, user)]

    def _members(self) -> list[Item[User]]:
        members = []
        for document in self._source.of(USERS):
            fields = Fields(USERS, document, self._findings)
            name = fields.line("UserName")
            if not name:
                name = f"user {fields.source_id}"
                fields.note("UserName", f"is empty; the user is called '{name}'")
            if ":" in name:
                fields.note(
                    "UserName",
                    f"'{name}' has a colon, which Basic sign-in forbids; it is now a dash",
                )
                name = name.replace(":", "-")
            password = fields.text("Password").lower()
            if password and not _SHA256.fullmatch(password):
                fields.note("Password", "is no SHA-256; the user needs a reset link", Level.WARNING)
                password = ""
            user = User(
                name=name,
                email=_email(fields),
                password=password,
                role=Role.ADMIN if fields.flag("IsAdmin") else Role.MEMBER,
            )
            members.append(Item(USERS, fields.source_id, user))
        return members


def _identity(fields: Fields, first: str, second: str) -> tuple[str, str]:
    identity = fields.raw("_id")
    if not isinstance(identity, Mapping):
        return "", ""
    return str(identity.get(first)), str(identity.get(second))


def _household_permission(fields: Fields) -> Permission:
    """Viewing is implied. Deleting without editing does not exist here: then it is viewing."""
    stored = fields.raw("Permissions")
    names = {member_of(p, PERMISSIONS) for p in (stored if isinstance(stored, list) else ())}
    if "Edit" in names:
        return Permission.DELETE if "Delete" in names else Permission.EDIT
    if "Delete" in names:
        fields.note("Permissions", "deleting without editing does not exist here; given is viewing")
    return Permission.VIEW


def _email(fields: Fields) -> str | None:
    email = one_line(fields.text("EmailAddress"))
    if not email:
        return None
    if len(email) > _MAX_EMAIL or not _EMAIL.fullmatch(email):
        fields.note("EmailAddress", f"'{email}' is no e-mail address; left out", Level.WARNING)
        return None
    return email
