"""The queue: work is enqueued in the transaction that asks for it, and done at least once by a worker."""

from devstudio_server.jobs.queue import JobContext, JobHandler, JobQueue
from devstudio_server.jobs.worker import WORKER_ID, EmbeddedWorker

__all__ = ["WORKER_ID", "EmbeddedWorker", "JobContext", "JobHandler", "JobQueue"]
