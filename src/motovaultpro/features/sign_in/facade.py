"""What `app.py` plugs in to know who sends a request."""

from motovaultpro.features.sign_in.dependencies import DatabaseAuthenticator

__all__ = ["DatabaseAuthenticator"]
