from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TOKEN = "0123456789abcdef-secret"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_token_of_the_culler_is_not_in_its_log(log_format: str) -> None:
    command = [sys.executable, "-m", "jupyterhub_collab_spawner.idle_culler", "--url=http://127.0.0.1:1/hub/api"]
    environment = {"JUPYTERHUB_API_TOKEN": TOKEN, "JUPYTERHUB_COLLAB_LOG_FORMAT": log_format}
    process = subprocess.Popen([*command, "--cull-every=1"], env=os.environ | environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = ""
    while "api_token=" not in said:  # the first call fails without its arguments
        line = process.stderr.readline().decode()
        assert line, said
        said += line
    process.terminate()
    said += process.communicate()[1].decode()
    assert "Exception in callback" in said
    assert "api_token='[secret]'" in said
    assert TOKEN not in said
    if log_format == "json":
        assert {json.loads(line)["process"] for line in said.splitlines() if line.startswith("{")} == {"idle-culler"}
