"""Bearer access tokens for the capsules above."""

from motovaultpro.features.access_tokens.service import AccessTokens

__all__ = ["AccessTokens"]
