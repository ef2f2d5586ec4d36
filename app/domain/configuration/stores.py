"""Settings of the stores, and the places that follow from them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from app.domain.configuration.values import DatabaseUrl, QueueUrl, StorageUrl


class StoreSettings(BaseModel):
    """Stores of the bytes, the records and the events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_url: StorageUrl = Field(
        default="file:./data", description="Store of the bytes: `file:<folder>` or `s3://<bucket>`."
    )
    database_url: DatabaseUrl = Field(
        default="sqlite:./data/darkroom.db",
        description="Store of the records: `sqlite:<file>` with `file:`, `dynamodb://<table>` with `s3://`. With "
        "another folder in `DARKROOM_STORAGE_URL`, the default is `darkroom.db` in that folder.",
    )
    queue_url: QueueUrl | None = Field(
        default=None,
        description="Url of the SQS queue that receives the bucket's events. Required with `s3://`, refused otherwise.",
    )

    webhook_queue_url: QueueUrl | None = Field(
        default=None,
        description="Url of the SQS queue of webhook deliveries. Unset: no webhooks. Only with `s3://`; self-hosted, "
        "they are always on.",
    )

    @property
    def self_hosted(self) -> bool:
        """True if all data is in a folder of this machine."""
        return self.storage_url.startswith("file:")

    @property
    def data_folder(self) -> Path:
        """Absolute path of the folder of `file:`."""
        return Path(self.storage_url.removeprefix("file:")).absolute()

    @property
    def size_socket(self) -> Path:
        """Socket in the folder of `file:` on which the worker process is asked for sizes on demand."""
        return self.data_folder / "sizes.sock"

    @property
    def figures_socket(self) -> Path:
        """Socket in the folder of `file:` on which the worker process gives its figures to the server."""
        return self.data_folder / "figures.sock"

    @property
    def database_file(self) -> Path:
        """Absolute path of the file of `sqlite:`."""
        return Path(self.database_url.removeprefix("sqlite:")).absolute()

    @property
    def bucket(self) -> str:
        """Bucket of `s3://`."""
        return self.storage_url.removeprefix("s3://")

    @property
    def table(self) -> str:
        """Table of `dynamodb://`."""
        return self.database_url.removeprefix("dynamodb://")

    @property
    def access_table(self) -> str:
        """Table of API keys and webhook endpoints, next to that of `dynamodb://`."""
        return f"{self.table}-Access"
