"""The demo from the command line: filled once, shown with its accounts, harmless when repeated."""

from __future__ import annotations

import sys

import httpx2
import pytest

from tests.commands.running import backend, data_folder, environment, serving

pytestmark = pytest.mark.timeout(180)


def test_serve_fills_the_demo_and_the_command_finds_it_filled() -> None:
    with data_folder() as folder:
        with serving(folder, sys.executable, "-m", "backend", "serve", "--demo") as server:
            login = {"email": "creator@demo.example.com", "password": "backdrop-demo"}
            answer = httpx2.post(f"{server.url}/api/v1/auth/login", json=login, timeout=20).json()
            headers = {"Authorization": f"Bearer {answer['token']}"}
            projects = httpx2.get(f"{server.url}/api/v1/projects", headers=headers, timeout=20).json()
            assert len(projects) == 4
            again = backend("demo", env=environment(folder))
            assert again.returncode == 0, again.stderr
            assert "was here already" in again.stdout
            for who in ("creator", "advertiser", "rival", "merchant", "operator", "newcomer"):
                assert f"{who}@demo.example.com" in again.stdout
            checked = backend("check", env=environment(folder))
            assert checked.returncode == 0, checked.stdout
            assert checked.stdout.count("invariant") == 8
            server.stop()
        assert "backdrop-demo" in server.log.read_text(), "the accounts are printed"


def test_the_demo_is_refused_in_production() -> None:
    with data_folder() as folder:
        env = environment(folder, APP_ENV="production", JWT_SECRET="a secret of thirty-two bytes or more")
        refused = backend("demo", env=env)
        assert refused.returncode == 1
        assert "not for APP_ENV=production" in refused.stderr
        assert "Traceback" not in refused.stderr
