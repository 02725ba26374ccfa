"""``tagtrace extract``: texts from the command line and from standard input, as a table and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tagtrace import cli
from tagtrace.contract import ExitCode


def piped(given: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tagtrace.cli", "extract", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=120)


def test_each_text_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["пиши @example_shop_kz", "ничего", "t.me/+AbCdEfGhIjKlMnOp"]
    assert cli.run(["extract", "--json", *texts]) == ExitCode.OK
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["text"] for item in objects] == texts
    assert [[(i["kind"], i["value"]) for i in item["identifiers"]] for item in objects] == [
        [("telegram", "example_shop_kz")],
        [],
        [("telegram_invite", "+AbCdEfGhIjKlMnOp")],
    ]
    assert objects[0]["identifiers"][0].keys() == {"kind", "value", "raw", "confidence", "alternatives", "flags", "lines"}


def test_table_shows_long_values_whole_and_brackets_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    invite = "+" + "AbCdEfGhIjKlMnOpQrStUv"
    assert cli.run(["extract", f"[red]@example_shop_kz t.me/{invite}"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "example_shop_kz" in shown
    assert invite in shown
    assert "…" not in shown


def test_nothing_found_is_said_and_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["extract", "просто стена"]) == ExitCode.OK
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "no identifiers found\n"


def test_standard_input_is_one_text_or_one_per_line() -> None:
    given = "\ufeff@shop_one_kz\r\n\nпиши: @shop_two_kz\n".encode()
    whole = [json.loads(line) for line in piped(given, "-", "--json").stdout.splitlines()]
    assert [[i["value"] for i in item["identifiers"]] for item in whole] == [["shop_one_kz", "shop_two_kz"]]
    each = [json.loads(line) for line in piped(given, "-", "--json", "--each-line").stdout.splitlines()]
    assert [item["text"] for item in each] == ["@shop_one_kz", "пиши: @shop_two_kz"]


def test_standard_input_that_is_no_text_is_wrong_use() -> None:
    ended = piped(b"\xff\xfe\x00@", "-")
    assert ended.returncode == ExitCode.USAGE
    assert b"standard input: is not UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr
