"""A real SMTP server on a port of this machine: it takes letters, or says what it was told to say."""

from __future__ import annotations

import email
import email.policy
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import cast


@dataclass
class SmtpServer:
    """`answers` replaces what the server says to a command. `arrived` holds the receiver and the letter."""

    port: int = 0
    trust: ssl.SSLContext | None = None
    answers: dict[str, str] = field(default_factory=dict)
    arrived: list[tuple[str, EmailMessage]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0


def _dialogue(server: SmtpServer, connection: socket.socket) -> None:
    server.connections += 1
    stream = connection.makefile("rwb")
    receiver, is_safe = "", False

    def say(words: str) -> None:
        stream.write(words.encode() + b"\r\n")
        stream.flush()

    say("220 test")
    while line := stream.readline():
        command = line.decode().strip()
        verb = command.partition(" ")[0].upper()
        server.commands.append(command)
        if verb in server.answers:
            say(server.answers[verb])
            continue
        if verb == "EHLO":
            say("250-test\r\n250 STARTTLS" if server.trust and not is_safe else "250 test")
        elif verb == "STARTTLS" and server.trust:
            say("220 go on")
            connection = server.trust.wrap_socket(connection, server_side=True)
            stream, is_safe = connection.makefile("rwb"), True
        elif verb == "DATA":
            say("354 go on")
            lines = []
            while (part := stream.readline()) not in {b".\r\n", b""}:
                lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
            letter = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            server.arrived.append((receiver, cast(EmailMessage, letter)))
            say("250 taken")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            if verb == "RCPT":
                receiver = command.partition("<")[2].rstrip(">")
            say("250 good")


@contextmanager
def smtp_server(trust: ssl.SSLContext | None = None) -> Iterator[SmtpServer]:
    """Runs until the end of the block."""
    server = SmtpServer(trust=trust)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _dialogue(server, self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        listening.shutdown()
        thread.join(5)
