from motovaultpro.core.errors import UnauthorizedError


class WrongLoginError(UnauthorizedError):
    """No such user, wrong password, disabled, in no garage: the answer never tells which."""

    code = "wrong_login"

    def __init__(self) -> None:
        super().__init__("The name or the password is wrong.")
