"""Changes are told once, to everybody, until they are taken; and nothing is told where nothing changed."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from recorded import fail, made, passed, unreachable
from standardwebhooks import Webhook, WebhookVerificationError

from auditor.errors import UsageError
from auditor.history import outbox
from auditor.history.outbox import PATIENCE
from auditor.history.store import History
from auditor.watch import telling
from auditor.watch.channels import Channel, channel
from auditor.watch.delivery import Postman

SECRET = "whsec_" + base64.b64encode(b"a secret of two and thirty bytes").decode()


class Receiver:
    """An HTTP server that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        """Start it on a free port."""
        self.status, self.headers, self.got = 204, {}, []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def events(self) -> list[dict[str, Any]]:
        """Return every event that a webhook was sent."""
        return [event for _, body in self.got for event in json.loads(body)["events"]]

    def close(self) -> None:
        """Stop it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver."""
    made_here = Receiver()
    yield made_here
    made_here.close()


def history(tmp_path: Path, *channels: Channel) -> History:
    """Return an empty history that tells these channels."""
    return History.open(str(tmp_path / "history.sqlite"), {c.name: telling.event for c in channels})


def test_only_changes_are_told(tmp_path: Path, receiver: Receiver) -> None:
    """Of eleven runs, those that changed something are told, each once, in order."""
    hook = channel(receiver.url, SECRET)
    kept = history(tmp_path, hook)
    postman = Postman(kept.database, [hook])
    for report in (
        *(made(passed()), made(passed())),
        *(made(fail()), made(fail())),  # new
        *(made(unreachable()), made(unreachable())),  # silent
        made(fail()),  # back
        *(made(passed()), made(passed())),  # fixed
        *(made(fail(), policy="b"), made(fail(), policy="b")),  # new, and the policy did it
    ):
        kept.record(report, target="shop")
        postman.deliver()
    said = [(e["run"], e["reach_changed"], e["reached"], e["new_total"], e["fixed_total"]) for e in receiver.events()]
    assert said == [
        (3, False, True, 1, 0),
        (5, True, False, 0, 0),
        (7, True, True, 0, 0),
        (8, False, True, 0, 1),
        (10, False, True, 1, 0),
    ]
    first, last = receiver.events()[0], receiver.events()[-1]
    assert first["new"][0]["message"] == "a page at https://evil.example can read GET /"
    assert first["new"][0]["cause"] == "target"
    assert last["policy_changed"]
    assert last["new"][0]["cause"] == "policy"
    kept.close()


def test_a_first_run_tells_nothing_unless_the_target_is_silent(tmp_path: Path, receiver: Receiver) -> None:
    """What was there from the beginning is no change; that nobody answers is worth a word."""
    hook = channel(receiver.url, SECRET)
    kept = history(tmp_path, hook)
    kept.record(made(fail()), target="shop")
    kept.record(made(unreachable()), target="gone")
    Postman(kept.database, [hook]).deliver()
    assert [event["target"] for event in receiver.events()] == ["gone"]
    kept.close()


def test_a_webhook_is_signed_as_the_standard_says(tmp_path: Path, receiver: Receiver) -> None:
    """The library of standardwebhooks.com verifies it, and refuses it with another byte or another secret."""
    hook = channel(receiver.url, SECRET)
    kept = history(tmp_path, hook)
    kept.record(made(passed()), target="shop")
    kept.record(made(fail()), target="shop")
    Postman(kept.database, [hook]).deliver()
    kept.close()
    [(headers, body)] = receiver.got
    lower = {name.lower(): value for name, value in headers.items()}
    assert Webhook(SECRET).verify(body, lower)["version"] == 1
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"shop", b"shoq"), lower)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"another secret of thirty-two byt").decode()).verify(body, lower)


def test_nothing_is_lost_while_the_receiver_is_down(tmp_path: Path, receiver: Receiver) -> None:
    """Refused, unreachable, redirected: the message waits longer each time, survives a restart, and arrives once."""
    hook = channel(receiver.url, SECRET)
    kept = history(tmp_path, hook)
    kept.record(made(passed()), target="shop")
    kept.record(made(fail()), target="shop")
    said: list[str] = []
    clock = [time.time()]
    tries = []
    for status in (500, 302, 429, 503):
        receiver.status, receiver.headers = status, {"Location": receiver.url} if status == 302 else {}
        for _ in range(100):
            before = len(receiver.got)
            Postman(kept.database, [hook], said.append, clock=lambda: clock[0]).deliver()
            if len(receiver.got) > before:
                tries.append(clock[0])
                break
            clock[0] += 5
    waits = [round(later - earlier) for earlier, later in pairwise(tries)]
    assert waits == [15, 30, 60]
    assert "status 500" in said[0]
    kept.close()
    kept = history(tmp_path, hook)
    receiver.status = 200
    postman = Postman(kept.database, [hook], clock=lambda: clock[0] + 3600)
    assert postman.deliver() == 1
    assert postman.deliver() == 0
    assert outbox.counts(kept.database) == {(hook.name, "sent"): 1}
    assert len({event["id"] for event in receiver.events()}) == 1
    kept.close()


def test_a_dead_receiver_does_not_hold_up_another(tmp_path: Path, receiver: Receiver) -> None:
    """One channel refuses connections, the other is told."""
    dead, alive = channel("http://127.0.0.1:9/hook", ""), channel(receiver.url, "")
    kept = history(tmp_path, dead, alive)
    kept.record(made(unreachable()), target="shop")
    assert Postman(kept.database, [dead, alive]).deliver() == 1
    assert outbox.counts(kept.database) == {(dead.name, "waiting"): 1, (alive.name, "sent"): 1}
    week_later = time.time() + PATIENCE + 60
    Postman(kept.database, [dead], clock=lambda: week_later).deliver()
    assert outbox.counts(kept.database)[dead.name, "given-up"] == 1
    kept.close()


def test_many_changes_are_told_in_one_go(tmp_path: Path, receiver: Receiver) -> None:
    """Sixty targets that fall silent together are two posts, not sixty."""
    hook = channel(receiver.url, "")
    kept = history(tmp_path, hook)
    for number in range(60):
        kept.record(made(unreachable()), target=f"t{number}")
    assert Postman(kept.database, [hook]).deliver() == 60
    assert [len(json.loads(body)["events"]) for _, body in receiver.got] == [50, 10]
    kept.close()


def test_slack_gets_text_without_markup_of_the_target(tmp_path: Path, receiver: Receiver) -> None:
    """What a server said cannot ping a channel or forge a link."""
    slack = channel(receiver.url.replace("http", "slack+http", 1), "")
    kept = history(tmp_path, slack)
    kept.record(made(passed()), target="shop")
    kept.record(made(fail("<!channel> <http://evil|click> &\x1b[2J")), target="shop")
    Postman(kept.database, [slack]).deliver()
    kept.close()
    text = json.loads(receiver.got[0][1])["text"]
    assert text.splitlines()[0] == "*shop: 1 new*"
    assert "new: high[cors-origin-not-allowed]" in text
    assert "&lt;!channel&gt; &lt;http://evil|click&gt; &amp;" in text
    assert "\x1b" not in text
    assert "<" not in text


class _Smtp(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 to take one mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        lines: list[str] = []
        inside = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if inside:
                if line == ".":
                    inside = False
                    self.server.mails.append("\n".join(lines))  # type: ignore[attr-defined]
                    self.wfile.write(b"250 taken\r\n")
                else:
                    lines.append(line)
            elif line.upper().startswith("DATA"):
                inside = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith("QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


def test_mail_says_what_changed(tmp_path: Path) -> None:
    """Subject and text name the target and the violation; a target's name cannot add a header."""
    with socketserver.TCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.mails = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mail = channel(f"smtp://127.0.0.1:{server.server_address[1]}/?to=web@example.com&to=ops@example.com", "")
        kept = history(tmp_path, mail)
        kept.record(made(passed()), target="shop\r\nBcc: evil@example.com")
        kept.record(made(fail()), target="shop\r\nBcc: evil@example.com")
        assert Postman(kept.database, [mail]).deliver() == 1
        kept.close()
        server.shutdown()
        [text] = server.mails  # type: ignore[attr-defined]
    said = message_from_string(text, policy=default)
    assert said["To"] == "web@example.com, ops@example.com"
    assert said["Bcc"] is None
    assert said["Subject"].endswith("1 new")
    assert "a page at https://evil.example can read GET /" in said.get_content()


@pytest.mark.parametrize("wrong", ["ftp://x/", "https://", "shop", "smtp://mail.example/", "slack+ftp://x"])
def test_an_address_that_nobody_can_be_told_at_is_refused(wrong: str) -> None:
    """The error says what would do."""
    with pytest.raises(UsageError):
        channel(wrong, "")


def test_names_of_channels_hold_no_secret() -> None:
    """What is kept and shown of a channel is its kind, its host, and a hash."""
    slack = channel("slack+https://hooks.slack.com/services/T000/B000/secret", "")
    mail = channel("smtps://user:password@mail.example/?to=a@example.com", "")
    assert slack.name.startswith("slack:hooks.slack.com:")
    assert "secret" not in slack.name
    assert mail.name.startswith("email:mail.example:")
    assert "password" not in mail.name
    assert len(slack.name) <= 64
