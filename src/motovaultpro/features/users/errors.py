from motovaultpro.core.errors import ConflictError, ForbiddenError


class NameTakenError(ConflictError):
    code = "name_taken"


class EmailTakenError(ConflictError):
    code = "email_taken"


class AlreadySetUpError(ConflictError):
    code = "already_set_up"


class LastOwnerError(ConflictError):
    """A garage never stays without an owner who can sign in."""

    code = "last_owner"


class SharedAccountError(ConflictError):
    """The account also belongs to another garage, whose people have a say in it."""

    code = "shared_account"


class OwnAccountError(ForbiddenError):
    """What needs one's own password is not done through the management of members."""

    code = "own_account"


class ApiKeyRefusedError(ForbiddenError):
    """Who can sign in, and as what, is changed by people: a key must not be able to make a stronger one."""

    code = "api_key_refused"
