import re
from email.message import EmailMessage
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motovaultpro.core.storage import RangeNotSatisfiableError, download_headers, parse_range

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def headers(
    content_type: str = "image/png", filename: str = "a.png", *, inline: bool = True
) -> dict[str, str]:
    return download_headers(
        content_type=content_type, filename=filename, size=5, sha256=SHA256, inline=inline
    )


def test_answers_with_every_header_that_keeps_a_file_from_running() -> None:
    assert headers() == {
        "Content-Type": "image/png",
        "Content-Length": "5",
        "Content-Disposition": 'inline; filename="a.png"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{SHA256}"',
        "Accept-Ranges": "bytes",
    }


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/avif",
        "application/pdf",
        "text/plain",
    ],
)
def test_shows_safe_types_in_the_page_if_asked(content_type: str) -> None:
    assert headers(content_type)["Content-Disposition"].startswith("inline;")
    assert headers(content_type, inline=False)["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "image/svg+xml",
        "application/xml",
        "text/xml",
        "application/xhtml+xml",
        "application/rss+xml",
        "text/javascript",
        "application/javascript",
        "text/css",
        "application/x-shockwave-flash",
        "application/x-executable",
    ],
)
def test_never_names_a_type_that_a_browser_might_run(content_type: str) -> None:
    answer = headers(content_type)

    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("content_type", ["application/zip", "image/heic", "text/csv"])
def test_downloads_other_types_under_their_names(content_type: str) -> None:
    answer = headers(content_type)

    assert answer["Content-Type"].startswith(content_type)
    assert answer["Content-Disposition"].startswith("attachment;")


def test_says_how_text_is_encoded() -> None:
    assert headers("text/plain")["Content-Type"] == "text/plain; charset=utf-8"


def test_leaves_the_sandbox_away_for_a_pdf_in_the_page_only() -> None:
    assert "sandbox" not in headers("application/pdf")["Content-Security-Policy"]
    assert "sandbox" in headers("application/pdf", inline=False)["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("filename", "field"),
    [
        ("a b.pdf", 'attachment; filename="a b.pdf"'),
        ("Öl.pdf", "attachment; filename=\"_l.pdf\"; filename*=UTF-8''%C3%96l.pdf"),
        (
            'say "hi".txt',
            "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt",
        ),
        ("a%20b.txt", "attachment; filename=\"a_20b.txt\"; filename*=UTF-8''a%2520b.txt"),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\temp\\a.txt", 'attachment; filename="a.txt"'),
        ("a\r\nSet-Cookie: x=1.txt", 'attachment; filename="aSet-Cookie: x=1.txt"'),
        ("\u202efdp.exe", 'attachment; filename="fdp.exe"'),
        ("", 'attachment; filename="file"'),
        ("..", 'attachment; filename="file"'),
        ("x" * 500 + ".jpeg", f'attachment; filename="{"x" * 145}.jpeg"'),
    ],
)
def test_names_a_download(filename: str, field: str) -> None:
    assert headers("application/zip", filename)["Content-Disposition"] == field


@given(st.text(max_size=300))
@example('";x="')
@example("\ud800")
def test_any_name_makes_one_well_formed_header(filename: str) -> None:
    field = headers("application/zip", filename)["Content-Disposition"]

    assert re.fullmatch(
        r'attachment; filename="[ !#-$&-\[\]-~]+"(; filename\*=UTF-8\'\'[\w.~%-]+)?', field
    )
    message = EmailMessage()
    message["Content-Disposition"] = field.partition("; filename*")[0]
    assert message.get_filename()
    if "filename*" in field:
        assert "/" not in unquote(field.rpartition("''")[2])


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=10-", (10, 100)),
        ("bytes=10-500", (10, 100)),
        ("bytes=99-" + "9" * 50, (99, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-500", (0, 100)),
        ("BYTES=5-5", (5, 6)),
    ],
)
def test_finds_the_asked_part(header: str, part: tuple[int, int]) -> None:
    assert parse_range(header, 100) == part


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=abc",
        "bytes=5-4",
        "bytes=0-0,5-6",
        "items=0-1",
        "bytes=0x1-5",
        "bytes=\u0661-\u0662",
        "bytes=--1",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_gives_the_whole_file_for_a_range_it_need_not_understand(header: str | None) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=-00"])
def test_refuses_a_part_beyond_the_end(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError) as refused:
        parse_range(header, 100)

    assert refused.value.status == 416
    assert refused.value.headers == {"Content-Range": "bytes */100"}


@given(st.text(alphabet="bytes=-0123456789, ", max_size=30), st.integers(1, 1000))
def test_never_answers_a_part_that_is_not_there(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except RangeNotSatisfiableError:
        return
    if part is not None:
        start, end = part
        assert 0 <= start < end <= size
