import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motovaultpro.core.storage.content import SNIFF_BYTES, UnsupportedFileError, sniff


def zipped(*names: str, first: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, first)
    return buffer.getvalue()


ODT = "application/vnd.oasis.opendocument.text"
OFFICE = "application/vnd.openxmlformats-officedocument"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20), "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(20), "image/jpeg"),
        (b"\xff\xd8\xff\xe1", "image/jpeg"),
        (b"GIF89a\x01\x00\x01\x00" + bytes(20), "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20), "image/webp"),
        (b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1" + bytes(20), "image/avif"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(20), "image/heic"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(20), "video/mp4"),
        (b"%PDF-1.7\n1 0 obj", "application/pdf"),
        (b"\xef\xbb\xbf\n%PDF-1.4\n%\xe2\xe3\xcf\xd3", "application/pdf"),
        (zipped("a.txt"), "application/zip"),
        (zipped("mimetype", first=ODT.encode()), ODT),
        (zipped("[Content_Types].xml", "word/document.xml"), f"{OFFICE}.wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}.spreadsheetml.sheet"),
        (b"SQLite format 3\x00" + bytes(20), "application/x-sqlite3"),
        (b"{\\rtf1\\ansi Hello}", "application/rtf"),
        (b"\x00\x01\x02\x03", "application/octet-stream"),
        (b"\x0e\x0f", "application/octet-stream"),
    ],
)
def test_knows_a_file_by_its_first_bytes(head: bytes, kind: str) -> None:
    assert sniff(head, "holiday.html") == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"<!DOCTYPE html><p>hi", "text/html"),
        (b" \r\n\t<HTML lang=en>", "text/html"),
        (b"<!-- hi --><script>alert(1)</script>", "text/html"),
        (b"<b>bold</b>", "text/html"),
        ("\ufeff<html>".encode(), "text/html"),
        ("<html>".encode("utf-16"), "text/html"),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- Inkscape -->\n<svg width="1">', "image/svg+xml"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' ''><SVG>", "image/svg+xml"),
        (b"<x:svg xmlns:x='http://www.w3.org/2000/svg'>", "image/svg+xml"),
        (b'<?xml version="1.0"?><gpx version="1.1">', "application/xml"),
        ("<h\u00f6he>12</h\u00f6he>".encode("latin-1"), "application/xml"),
    ],
)
def test_knows_markup_whatever_it_is_called(head: bytes, kind: str) -> None:
    assert sniff(head, "holiday.jpg") == kind


@pytest.mark.parametrize(
    ("head", "filename", "kind"),
    [
        (b"date,odometer\n2026-01-01,5\n", "fuel.CSV", "text/csv"),
        (b"date;cost\n2026-01-01;5,10 \x80\n", "alt.csv", "text/csv"),
        ("Öl;5,10 €\n".encode("utf-16"), "excel.csv", "text/csv"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b"[1, 2]", "a.json", "application/json"),
        (b"not json", "a.json", "text/plain"),
        (b"BEGIN:VCALENDAR\r\n", "a", "text/calendar"),
        (b"alert(1)", "a.js", "text/javascript"),
        (b"# Title", "README.md", "text/markdown"),
        (b"hello", "a.html", "text/plain"),
        (b"hello", "picture.png", "text/plain"),
        (b"hello", "", "text/plain"),
        (b"BMW;320d;2019\n", "bmw.txt", "text/plain"),
        (b"MZ is a number plate of Mainz.\n", "plates.txt", "text/plain"),
        (b"GIF, JPEG and others\n", "a.txt", "text/plain"),
        (b"a < b, <html> is a word here", "a.txt", "text/plain"),
    ],
)
def test_tells_harmless_texts_apart_by_their_names(head: bytes, filename: str, kind: str) -> None:
    assert sniff(head, filename) == kind


def test_forgives_a_character_cut_off_at_the_end_of_the_first_bytes() -> None:
    text = ("x" * (SNIFF_BYTES - 1) + "é").encode()

    assert sniff(text[:SNIFF_BYTES], "a.txt") == "text/plain"
    assert sniff("é".encode() * 5000, "a.txt") == "text/plain"


@pytest.mark.parametrize(
    "head",
    [
        b"MZ\x90\x00\x03\x00\x00\x00" + bytes(60) + b"PE\x00\x00",
        b"\x7fELF\x02\x01\x01",
        b"\xcf\xfa\xed\xfe\x07\x00\x00\x01",
        b"\xfe\xed\xfa\xce",
        b"\xca\xfe\xba\xbe\x00\x00\x00\x02",
        b"#!/bin/sh\nrm -rf /\n",
        b"#! /usr/bin/env python3\n",
    ],
)
def test_refuses_programs_and_scripts(head: bytes) -> None:
    with pytest.raises(UnsupportedFileError):
        sniff(head, "invoice.pdf")


@given(st.binary(min_size=1, max_size=SNIFF_BYTES), st.text(max_size=50))
def test_has_an_answer_to_any_bytes(head: bytes, filename: str) -> None:
    try:
        kind = sniff(head, filename)
    except UnsupportedFileError:
        return
    assert kind.count("/") == 1
