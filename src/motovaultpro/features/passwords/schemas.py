from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_Token = Annotated[SecretStr, Field(max_length=500)]
_Password = Annotated[SecretStr, Field(max_length=1024)]
"""Above what the policy takes, so that the policy can say what is wrong."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PasswordChange(_Input):
    current_password: _Password
    password: _Password


class PasswordResetRequest(_Input):
    name: str = Field(max_length=500, description="The user name, or the e-mail address.")


class PasswordReset(_Input):
    token: _Token
    password: _Password
