"""moto in a process of its own, so that its work does not hold up the tests.

It answers over the socket that is its standard input, one request after the other: moto is neither
safe in threads nor faster with them. Frames are a length and a pickle, both ends being ours. When
the other end closes, by whatever death, it ends.
"""

from __future__ import annotations

import io
import json
import pickle
import socket
import struct
import sys
import time
from datetime import UTC, datetime
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")
CROWD = "CROWD"  # no HTTP method: make many instances at once
SHELF = "SHELF"  # likewise: many images, of any age and state


def main() -> None:
    line = socket.socket(fileno=0)
    source, sink = line.makefile("rb"), line.makefile("wb")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    mend_searches()
    images = mend_images()
    mend_snapshots()
    mend_pages()
    mend_classic()
    mend_secrets()
    application = DomainDispatcherApplication(create_backend_app)
    while (frame := receive(source)) is not None:
        method, path, headers, body, hints = frame
        images.update(hints)
        if method == CROWD:
            send(sink, (200, [], crowd(**json.loads(body))))
        elif method == SHELF:
            send(sink, (200, [], shelf(**json.loads(body))))
        else:
            send(sink, ask(application, method, path, headers, body))


def receive(source: BinaryIO) -> Any:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return pickle.loads(source.read(LENGTH.unpack(head)[0]))


def send(sink: BinaryIO, message: Any) -> None:
    data = pickle.dumps(message)
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()


def ask(application: Any, method: str, path: str, headers: Any, body: bytes) -> Any:
    """Call a WSGI application."""
    place, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": place,
        "QUERY_STRING": query,
        "SERVER_NAME": "moto",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    environ.pop("HTTP_CONTENT_LENGTH", None)
    told: list[Any] = []
    try:
        parts = application(environ, lambda status, named, *_: told.extend((status, named)))
        answer = b"".join(parts)
        getattr(parts, "close", lambda: None)()
    except Exception as error:  # moto raises what it has not implemented
        return 500, [("Content-Type", "text/plain")], f"{type(error).__name__}: {error}".encode()
    return int(told[0].split()[0]), told[1], answer


def crowd(account: str, region: str, subnet: str, image: str, tags: list[dict[str, str]]) -> bytes:
    """Run an instance for each row of tags, each in its own reservation, as clones come."""
    from moto.ec2.models import ec2_backends

    ec2 = ec2_backends[account][region]
    more = {"instance_type": "t3.small", "is_instance_type_default": True, "region_name": region}
    more |= {"subnet_id": subnet, "key_name": None, "nics": [], "metadata_options": {}}
    for row in tags:
        ec2.run_instances(image, 1, None, [], **more, tags={"instance": row})
    return b"done"


def shelf(account: str, region: str, rows: list[dict[str, Any]]) -> bytes:
    """Make an image for each row; answers their ids. `owner` and `snapshot` are somebody else's."""
    from moto.ec2.models import ec2_backends

    ec2 = ec2_backends[account][region]
    made = []
    for row in rows:
        image = ec2.create_image(row["instance"], row["name"], "of a master", tag_specifications=[])
        image.creation_date = datetime.fromtimestamp(row["created"], UTC)
        image.state = row["state"]
        if "owner" in row:
            image.owner_id = image.ebs_snapshot.owner_id = row["owner"]
        if "snapshot" in row:
            del ec2.snapshots[image.ebs_snapshot.id]
            image.ebs_snapshot = ec2.snapshots[row["snapshot"]]
        for resource in (image.id, *(() if "snapshot" in row else (image.ebs_snapshot.id,))):
            if row["tags"]:
                ec2.create_tags([resource], row["tags"])
        made.append([image.id, image.ebs_snapshot.id])
    return json.dumps(made).encode()


def mend_searches() -> None:
    """moto scans all tags for those of one resource, and all instances for one; it need not."""
    from moto.ec2.exceptions import InvalidInstanceIdError
    from moto.ec2.models.core import TaggedEC2Resource
    from moto.ec2.models.instances import InstanceBackend
    from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

    def get_tags(self: Any) -> list[dict[str, str]]:
        tags = self.ec2_backend.tags.get(self.id) if self.id else None
        if not tags:
            return []
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "")
        return [
            {"resource_id": self.id, "key": k, "value": v, "resource_type": kind}
            for k, v in tags.items()
        ]

    def get_instance(self: Any, instance_id: str) -> Any:
        for reservation in reversed(self.reservations.values()):  # mostly it is the newest
            for instance in reservation.instances:
                if instance.id == instance_id:
                    return instance
        raise InvalidInstanceIdError(instance_id)

    TaggedEC2Resource.get_tags = get_tags  # type: ignore[method-assign]
    InstanceBackend.get_instance = get_instance  # type: ignore[method-assign]


def mend_images() -> dict[str, Any]:
    """Let a new image be pending for a while, and then available or failed, in filters too."""
    from moto.ec2.models.amis import Ami, AmiBackend

    hints: dict[str, Any] = {"delay": 0.0, "fails": False}
    create = AmiBackend.create_image

    def create_image(self: Any, *args: Any, **kwargs: Any) -> Any:
        image: Any = create(self, *args, **kwargs)
        image.ready, image.fails = time.monotonic() + hints["delay"], hints["fails"]
        return image

    def state(self: Any) -> str:
        if time.monotonic() < getattr(self, "ready", 0):
            return "pending"
        return "failed" if getattr(self, "fails", False) else str(self.told_state)

    def reason(self: Any) -> dict[str, str] | None:
        if self.state != "failed":
            return None
        return {"Code": "Server.InternalError", "Message": "the snapshot could not be made"}

    def keep(self: Any, value: str) -> None:
        self.told_state = value

    AmiBackend.create_image = create_image  # type: ignore[method-assign]
    Ami.state = property(state, keep)  # type: ignore[assignment]
    Ami.state_reason = property(reason)  # type: ignore[attr-defined]
    return hints


def mend_snapshots() -> None:
    """moto knows of one image of a snapshot; AWS keeps it while any image has it."""
    from moto.ec2.exceptions import InvalidSnapshotInUse
    from moto.ec2.models.elastic_block_store import EBSBackend

    delete = EBSBackend.delete_snapshot

    def delete_snapshot(self: Any, id: str) -> Any:
        for image in self.amis.values():
            if image.ebs_snapshot.id == id:
                raise InvalidSnapshotInUse(id, image.id)
        return delete(self, id)

    EBSBackend.delete_snapshot = delete_snapshot  # type: ignore[assignment, method-assign]


def mend_pages() -> None:
    """moto tells of all images and snapshots at once; AWS of no more than it is asked for."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.amis import AmisResponse
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    def page(kind: Any, verb: str, key: str) -> None:
        whole = getattr(kind, verb)

        def paged(self: Any) -> ActionResult:
            rows = list(whole(self).result[key])
            first, size = int(self._get_param("NextToken") or 0), self._get_int_param("MaxResults")
            end = first + size if size else len(rows)
            more = {"NextToken": str(end)} if end < len(rows) else {}
            return ActionResult({key: rows[first:end], **more})

        setattr(kind, verb, paged)

    page(AmisResponse, "describe_images", "Images")
    page(ElasticBlockStore, "describe_snapshots", "Snapshots")


def mend_classic() -> None:
    """A classic ELB lists an instance once, however often it is registered."""
    from moto.elb.models import ELBBackend

    register = ELBBackend.register_instances

    def register_instances(self: Any, name: str, ids: Any, from_autoscaling: bool = False) -> Any:
        known = self.get_load_balancer(name).instance_ids
        return register(self, name, [i for i in ids if i not in known], from_autoscaling)

    ELBBackend.register_instances = register_instances  # type: ignore[assignment, method-assign]


def mend_secrets() -> None:
    """moto takes all labels off a version that is no longer the current one; AWS moves its own."""
    from moto.secretsmanager.models import FakeSecret

    def reset_default_version(self: Any, version: dict[str, Any], id: str) -> None:
        for old in self.versions.values():
            was = [label for label in old["version_stages"] if label != "AWSPREVIOUS"]
            moved = [label for label in was if label not in version["version_stages"]]
            old["version_stages"] = moved + (["AWSPREVIOUS"] if "AWSCURRENT" in was else [])
        self.versions[id] = version
        self.default_version_id = id

    FakeSecret.reset_default_version = reset_default_version


if __name__ == "__main__":
    main()
