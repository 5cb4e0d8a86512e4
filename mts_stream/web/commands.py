"""`mts-stream web`."""

import asyncio
import json

import click

from mts_stream.logs import configure_logging
from mts_stream.settings import load_settings
from mts_stream.web.server import serve


@click.command("web")
@click.option("--host", help="Address to listen on (WEB_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WEB_PORT, 8080); 0 takes a free one.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON line.")
def web(host: str | None, port: int | None, as_json: bool) -> None:
    """Serve the live page: pairs, edges, opportunities, refusals, read from the result topics."""
    settings = load_settings()
    configure_logging(settings, "web")

    def ready(url: str) -> None:
        click.echo(json.dumps({"event": "ready", "web": url}) if as_json else f"live page: {url}  (Ctrl-C ends it)")

    asyncio.run(serve(settings, host or settings.web_host, settings.web_port if port is None else port, ready))
