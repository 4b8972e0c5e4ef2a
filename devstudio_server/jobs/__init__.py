"""The queue: work is enqueued in the transaction that asks for it, and done at least once by a worker."""

from devstudio_server.jobs.heartbeat import WORKER_ID, Heartbeat
from devstudio_server.jobs.queue import JobContext, JobHandler, JobKind, JobQueue, LeaseLost, Place, current_job
from devstudio_server.jobs.runner import MAX_ATTEMPTS, JobRunner
from devstudio_server.jobs.worker import EmbeddedWorker, Worker

__all__ = [
    "MAX_ATTEMPTS",
    "WORKER_ID",
    "EmbeddedWorker",
    "Heartbeat",
    "JobContext",
    "JobHandler",
    "JobKind",
    "JobQueue",
    "JobRunner",
    "LeaseLost",
    "Place",
    "Worker",
    "current_job",
]
