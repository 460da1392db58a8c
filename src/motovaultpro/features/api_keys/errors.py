from motovaultpro.core.errors import ConflictError


class KeyNameTakenError(ConflictError):
    code = "name_taken"


class TooManyKeysError(ConflictError):
    code = "too_many_keys"
