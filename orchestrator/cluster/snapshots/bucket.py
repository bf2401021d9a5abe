"""A bucket that keeps snapshots: the only user of boto3."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.cluster.snapshots import manifest as manifests
from orchestrator.cluster.snapshots.manifest import BESIDE, Manifest
from orchestrator.cluster.snapshots.places import Folder, Kept, ordered
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json

_SETTINGS = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 4, "mode": "standard"})
_BY_KMS = "aws:kms"


@dataclass(frozen=True)
class Bucket:
    """Objects below one prefix; credentials, region and endpoint are found as boto3 finds them."""

    bucket: str
    prefix: str
    cluster: str
    encryption: str
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def kept(self) -> tuple[Kept, ...]:
        with _told(f"list {self.where}"):
            sizes = dict(self._listed())
            beside = [key for key in sizes if key.endswith(BESIDE)]
            return ordered([self._kept(key, sizes) for key in beside])

    def _listed(self) -> Iterator[tuple[str, int]]:
        start = self._key(f"{self.cluster}-")
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
        for page in pages:
            for one in page.get("Contents", ()):
                if manifests.is_ours(self.cluster, one["Key"].removeprefix(self._key(""))):
                    yield one["Key"], one["Size"]

    def _kept(self, key: str, sizes: Mapping[str, int]) -> Kept:
        text = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return Kept(manifests.parsed(text, f"s3://{self.bucket}/{key}"), sizes.get(key.removesuffix(BESIDE)))

    def stage(self, into: Path) -> Folder:
        return Folder(into, self.cluster)

    def put(self, file: Path, manifest: Manifest) -> None:
        key = self._key(manifest.name)
        more = {**self._encrypted(), "ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": manifest.sha256}}
        with _told(f"write s3://{self.bucket}/{key}"):
            self._client.upload_file(str(file), self.bucket, key, ExtraArgs=more)
            there = self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        if there != manifest.size:
            raise StrongroomError(f"s3://{self.bucket}/{key} has {there} bytes of {manifest.size}; run this again")
        with _told(f"write s3://{self.bucket}/{key}{BESIDE}"):
            text = manifest.text().encode()
            self._client.put_object(Bucket=self.bucket, Key=key + BESIDE, Body=text, **self._encrypted())

    def fetch(self, manifest: Manifest, into: Path) -> Path:
        target = into / manifest.name
        part = into / f".{manifest.name}.part"
        part.touch(mode=0o600)
        with _told(f"read s3://{self.bucket}/{self._key(manifest.name)}"):
            self._client.download_file(self.bucket, self._key(manifest.name), str(part))
        part.chmod(0o600)
        part.replace(target)
        return target

    def drop(self, manifest: Manifest) -> None:
        for name in (manifest.name, manifest.name + BESIDE):
            with _told(f"delete s3://{self.bucket}/{self._key(name)}"):
                self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _encrypted(self) -> dict[str, str]:
        """What S3 encrypts it with: its own key, or one of the KMS."""
        by, _, key = self.encryption.partition(f"{_BY_KMS}:")
        return {"ServerSideEncryption": _BY_KMS, "SSEKMSKeyId": key} if key else {"ServerSideEncryption": by}

    @cached_property
    def _client(self) -> Json:
        if not self.storage:
            return boto3.client("s3", config=_SETTINGS)
        client = boto3.client("s3", config=_SETTINGS, **self.storage)
        client.create_bucket(Bucket=self.bucket)  # an emulator's buckets live no longer than it does
        return client


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise StrongroomError(f"cannot {what}: {error}") from error
