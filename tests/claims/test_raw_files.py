"""Reading raw files: every record is staged or rejected, whichever way it is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.claims import raw
from fraud.claims.raw import Layout, RawSpec, look, stage

COMMA = Layout(",")
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read(text: bytes, careful: bool, layout: Layout = COMMA) -> tuple[list[tuple], list[tuple], int]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "a.csv"
        path.write_bytes(text)
        raw.prepare_rejects(connection)
        (file,), faults = look([RawSpec(path, "claims", path.name, layout=layout)])
        assert not faults
        if careful:
            raw._stage_careful(connection, file)
        staged = file if careful else stage(connection, file, Path(folder))
        texts = ", ".join(file.texts().values())
        good = connection.execute(f"SELECT _row, {texts} FROM {file.relation} ORDER BY _row").fetchall()
        bad = connection.execute("SELECT _row, code FROM rejects ORDER BY _row").fetchall()
        return good, bad, staged.rows


def test_a_row_with_too_few_fields_is_rejected_and_the_next_one_is_read() -> None:
    good, bad, count = _read(b"a,b\n1,2\n3\n4,5\n", careful=False)
    assert good == [(2, "1", "2"), (4, "4", "5")]
    assert bad == [(3, "too_few_fields")]
    assert count == 3


def test_a_quote_that_is_never_closed_rejects_its_line_and_swallows_no_other() -> None:
    good, bad, _ = _read(b'a,b\n1,"cut\n2,x\n3,"y"\n', careful=False)
    assert good == [(3, "2", "x"), (4, "3", "y")]
    assert bad == [(2, "open_quote")]


def test_a_quoted_line_break_belongs_to_the_value() -> None:
    good, bad, _ = _read(b'a,b\n1,"x\ny"\n2,z\n', careful=False)
    assert good == [(2, "1", "x\ny"), (4, "2", "z")]
    assert not bad


def test_bytes_that_are_no_text_reject_their_line_only() -> None:
    good, bad, _ = _read(b"a,b\n1,\xff\n2,\xe4\xb8\xad\n", careful=False)
    assert good == [(3, "2", "中")]
    assert bad == [(2, "not_text")]


def test_the_last_line_may_lack_its_line_break_and_windows_ones_are_read() -> None:
    assert _read(b"a,b\r\n1,2\r\n3,4", careful=False)[0] == [(2, "1", "2"), (3, "3", "4")]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert _read(b"\xef\xbb\xbfa,b\n1,2\n", careful=False)[0] == [(2, "1", "2")]


def test_blanks_of_spreadsheets_and_forms_are_trimmed_and_zeros_kept() -> None:
    assert _read("a,b\n 007 ,\u3000x\u00a0\n".encode(), careful=False)[0] == [(2, "007", "x")]


def test_a_chinese_export_is_read_in_its_own_encoding() -> None:
    layout = Layout(",", encoding="gb18030")
    good, bad, _ = _read("编号,名称\n1,医院\n".encode("gb18030") + b"2,\xff\n", careful=False, layout=layout)
    assert good == [(2, "1", "医院")]
    assert bad == [(3, "not_text")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_taken_from_the_header(delimiter: str) -> None:
    text = f"a{delimiter}b\n1{delimiter}2\n".encode()
    assert _read(text, careful=False, layout=Layout())[0] == [(2, "1", "2")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n1,2\n", "blank"),
        (b"a,a\n1,2\n", "more than once"),
        (b"\xff\xfe,b\n", "encoding"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_with_the_reason(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    files, (fault,) = look([RawSpec(path, "claims", path.name)])
    assert not files
    assert said in fault.detail


def test_a_parquet_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and no more")
    assert [fault.code for fault in look([RawSpec(path, "claims", path.name)])[1]] == ["unreadable_file"]


# Pieces that break CSV in practice, in any order.
PIECES = st.sampled_from(
    [
        "1",
        "x y",
        ",",
        ",,",
        "\n",
        "\r\n",
        '"',
        '""',
        '"a,b"',
        '"a\nb"',
        "\ufeff",
        "é",
        "\x00",
        " ",
        "NA",
        "\r",
        "\t",
        "\\",
    ]
)


@SLOW
@given(st.lists(PIECES, max_size=60).map("".join))
def test_the_fast_way_and_the_careful_way_agree_on_any_text(text: str) -> None:
    body = ("h1,h2,h3\n" + text).encode()
    fast, fast_bad, _ = _read(body, careful=False)
    careful, careful_bad, _ = _read(body, careful=True)
    assert (fast, fast_bad) == (careful, careful_bad)


@SLOW
@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"1,2,3", b"a,,c", b'"x","y","z"']),
            st.sampled_from([b"1,2", b"1,2,3,4", b'1,"cut', b"\xff,1,2"]),
        ),
        max_size=30,
    )
)
def test_every_line_is_staged_or_rejected(lines: list[bytes]) -> None:
    good, bad, count = _read(b"\n".join([b"h1,h2,h3", *lines]) + b"\n", careful=False)
    assert len(good) + len(bad) == count == len(lines)
    assert sorted(row for row, *_ in (*good, *bad)) == list(range(2, len(lines) + 2))
