from motovaultpro.core.errors import AppError


class LinkError(AppError):
    """Unknown, used, replaced by a newer link, or expired: the answer does not tell which."""

    code = "invalid_link"

    def __init__(self) -> None:
        super().__init__("This link is not valid any more. Ask for a new one.")
