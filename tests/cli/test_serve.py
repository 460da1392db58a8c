import pytest
from typer.testing import CliRunner

from motovaultpro.cli.serve import app


def test_names_each_wrong_setting_and_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVP_SECURITY__SECRET_KEY", "short")
    result = CliRunner().invoke(app, ["backend"])
    assert result.exit_code == 2
    assert "MVP_SECURITY__SECRET_KEY: " in result.stderr
    assert "MVP_DATABASE__URL: Field required" in result.stderr
    assert "Traceback" not in result.output
