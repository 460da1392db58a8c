from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from motovaultpro.features.sign_in.contracts import Tokens

_Token = Annotated[SecretStr, Field(min_length=1, max_length=500)]
_Password = Annotated[SecretStr, Field(max_length=1024)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginRequest(_Input):
    name: str = Field(
        max_length=500,
        validation_alias=AliasChoices("name", "username", "userName"),
        description="Also as `username` or `userName`.",
    )
    password: _Password
    remember: bool = Field(False, description="With a cookie: stay signed in for weeks.")
    session: Literal["token", "cookie"] = Field(
        "token", description="`cookie` sets a session cookie and answers 204; for browsers."
    )


class RefreshRequest(_Input):
    refresh_token: _Token


class TokenAnswer(BaseModel):
    token: str
    refresh_token: str
    expires_in: int = Field(description="Seconds that the token lives.")
    token_type: Literal["Bearer"]

    @classmethod
    def of(cls, tokens: Tokens) -> "TokenAnswer":
        return cls(
            token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
            token_type="Bearer",  # noqa: S106 - the name of a scheme
        )


class JsonWebKeySet(BaseModel):
    keys: list[dict[str, Any]]  # Any: members by key type (RFC 7517)
