"""Recorded answers to DescribeInstances: made of one of moto's, served in no time."""

from __future__ import annotations

import logging
import re
import sys
import time
import urllib.parse
import urllib.request
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = 1000
TYPES = ("web", "web", "web", "celery", "manager")
# moto tells services apart by this alone, and checks no signature.
SIGNED = "AWS4-HMAC-SHA256 Credential=example/20260101/us-east-1/ec2/aws4_request"
SHELL = (
    '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>0</requestId><reservationSet>{items}</reservationSet>{next}"
    "</DescribeInstancesResponse>"
)


def record(folder: Path, size: int) -> Path:
    """Write the pages of a fleet of `size` instances, each in a reservation like moto's."""
    folder.mkdir()
    one = _one_reservation()
    for start in range(0, size, PAGE):
        end = min(start + PAGE, size)
        items = "".join(_another(one, n) for n in range(start, end))
        more = f"<nextToken>{end // PAGE}</nextToken>" if end < size else ""
        (folder / f"{start // PAGE}.xml").write_text(SHELL.format(items=items, next=more))
    return folder


def serve(folder: Path) -> None:
    """Answer until ended; print the address first."""
    pages = {file.stem: file.read_bytes() for file in folder.glob("*.xml")}
    spent = 0.0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            nonlocal spent
            began = time.perf_counter()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = dict(urllib.parse.parse_qsl(body.decode()))
            page = pages[asked.get("NextToken", "0")]
            spent += time.perf_counter() - began
            self._answer(page)

        def do_GET(self) -> None:
            self._answer(str(spent).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a line a request would be counted as work."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


@cache
def _one_reservation() -> str:
    """Have moto run one instance with our tags, and return how it lists it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        tags = [
            {"Key": key, "Value": value}
            for key, value in (("Env", "prod"), ("Type", "@type@"), ("Name", "@name@"))
        ]
        ec2 = boto3.client(
            "ec2",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="example",
            aws_secret_access_key="example",
        )
        ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            PrivateIpAddress="10.0.255.254",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        found = ec2.describe_instances()["Reservations"][0]
        question = urllib.request.Request(
            url,
            data=b"Action=DescribeInstances&Version=2016-11-15",
            headers={"Authorization": SIGNED},
        )
        with urllib.request.urlopen(question, timeout=10) as answer:
            text = answer.read().decode()
    finally:
        server.stop()
    text = re.sub(r">\s+<", "><", text)  # EC2 sends no indentation
    start = text.index("<reservationSet>") + len("<reservationSet>")
    item = text[start : text.index("</reservationSet>")]
    instance = found["Instances"][0]
    return item.replace(instance["InstanceId"], "@id@").replace(
        instance["PrivateIpAddress"], "@address@"
    )


def _another(one: str, n: int) -> str:
    kind = TYPES[n % len(TYPES)]
    return (
        one.replace("@id@", f"i-{n:017x}")
        .replace("@address@", f"10.{n >> 14}.{n >> 7 & 127}.{n & 127}")
        .replace("@type@", kind)
        .replace("@name@", f"prod{kind}{n + 1}")
    )


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
