"""Virtual users against a running system: sign in, look at the dashboard, rest a second, again.

    python -m benchmarks.users http://localhost:8080 ada 'a long pass phrase' --users 100 --users 500

Start the system with `motovault up --rate-limit 100000`, or its limit per address answers for it. The generator takes its
share of the same processors.
"""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

_REST_SECONDS = 1.0
_BUDGETS_MS = {100: 100, 500: 250, 1000: 500}


@dataclass
class Tally:
    logins_ms: list[float] = field(default_factory=list)
    dashboards_ms: list[float] = field(default_factory=list)
    errors: int = 0

    def p95(self) -> float:
        """Over all requests, in ms."""
        everything = sorted(self.logins_ms + self.dashboards_ms)
        return everything[int(len(everything) * 0.95)] if everything else 0.0


async def _request(
    client: httpx.AsyncClient,
    tally: Tally,
    times: list[float],
    method: str,
    path: str,
    **more: object,
) -> httpx.Response | None:
    started = perf_counter()
    try:
        answer = await client.request(method, path, **more)  # type: ignore[arg-type]  # json and headers
    except httpx.TransportError:
        tally.errors += 1
        return None
    times.append((perf_counter() - started) * 1000)
    if not answer.is_success:
        tally.errors += 1
        return None
    return answer


async def _user(
    client: httpx.AsyncClient, tally: Tally, login: dict[str, str], wait: float, until: float
) -> None:
    await asyncio.sleep(wait)
    while perf_counter() < until:
        answer = await _request(
            client, tally, tally.logins_ms, "POST", "/api/auth/login", json=login
        )
        if answer is not None:
            headers = {"Authorization": f"Bearer {answer.json()['token']}"}
            await _request(
                client, tally, tally.dashboards_ms, "GET", "/api/dashboard", headers=headers
            )
        await asyncio.sleep(_REST_SECONDS)


async def _load(url: str, login: dict[str, str], users: int, seconds: float) -> Tally:
    tally = Tally()
    limits = httpx.Limits(max_connections=users, max_keepalive_connections=users)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        until = perf_counter() + seconds
        await asyncio.gather(
            *(_user(client, tally, login, _REST_SECONDS * n / users, until) for n in range(users))
        )
    return tally


def main(
    url: str,
    name: str,
    password: str,
    users: Annotated[list[int], typer.Option(help="How many at once.")] = [100],  # noqa: B006 - typer's way
    seconds: Annotated[float, typer.Option(help="How long each step lasts.")] = 20,
) -> None:
    """Print requests per second, p95 and errors for each number of users."""
    table = Table("users", "requests/s", "login p50", "dashboard p50", "p95 ms", "budget", "errors")
    for count in users:
        tally = asyncio.run(_load(url, {"name": name, "password": password}, count, seconds))
        logins, dashboards = sorted(tally.logins_ms), sorted(tally.dashboards_ms)
        table.add_row(
            str(count),
            f"{(len(logins) + len(dashboards)) / seconds:.0f}",
            f"{logins[len(logins) // 2]:.1f}" if logins else "-",
            f"{dashboards[len(dashboards) // 2]:.1f}" if dashboards else "-",
            f"{tally.p95():.1f}",
            str(_BUDGETS_MS.get(count, "-")),
            str(tally.errors),
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
