"""The pages that one-time links open: small forms that need nothing but a browser."""

from base64 import b64encode
from hashlib import sha256

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

public_router = APIRouter(tags=["links"])

_STYLE = """
body { font: 17px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem; color: #0f172a }
label { display: block; margin-top: 1rem }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; border: 1px solid #64748b; border-radius: .4rem }
button { font: inherit; margin-top: 1.5rem; padding: .6rem 1.4rem; border: 0; border-radius: .4rem; background: #1d4ed8;
         color: #fff }
#said { margin-top: 1rem }
"""
# The token comes from the address and leaves it at once, so that it stays in no history.
_SCRIPT = """
const form = document.forms[0], said = document.getElementById("said");
const token = new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const values = Object.fromEntries(new FormData(form));
  said.textContent = "…";
  try {
    const answer = await fetch(form.dataset.target, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, ...values }),
    });
    if (answer.ok) {
      form.remove();
      said.textContent = said.dataset.done;
    } else {
      const problem = await answer.json();
      said.textContent = [problem.detail, ...problem.fields.map((f) => `${f.field}: ${f.message}`)].join(" ");
    }
  } catch {
    said.textContent = "The server does not answer. Try again.";
  }
});
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head><body><h1>{title}</h1>
<form data-target="{target}">{fields}<button>{button}</button></form>
<p id="said" role="status" data-done="{done}"></p><script>{script}</script></body></html>
"""
_NAME_FIELD = '<label>Name <input name="name" autocomplete="username" required maxlength="100" autofocus></label>'
_CHOICE_FIELD = (
    '<label>Password, at least 8 characters <input name="password" type="password" autocomplete="new-password"'
    ' required minlength="8" maxlength="256"></label>'
)


def _source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)};"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def _page(**texts: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(style=_STYLE, script=_SCRIPT, **texts), headers=_HEADERS)


@public_router.get("/setup", response_class=HTMLResponse)
async def setup_page() -> HTMLResponse:
    """Where the link of the first start leads: the form for the owner's account."""
    return _page(
        title="Welcome to MotoVaultPro",
        target="/api/auth/setup",
        fields=_NAME_FIELD + _CHOICE_FIELD,
        button="Create the owner's account",
        done="Your account is ready. Sign in with it.",
    )


@public_router.get("/reset-password", response_class=HTMLResponse)
async def reset_password_page() -> HTMLResponse:
    """Where a password link leads."""
    return _page(
        title="Choose a new password",
        target="/api/auth/password-reset/confirm",
        fields=_CHOICE_FIELD,
        button="Save the password",
        done="Your new password works from now on.",
    )
