"""The table of calls of models: what each used, cost and led to."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow

COST_DIGITS = 14
COST_PLACES = 8


class Metric(TenantRow):
    """One call of a model. ``cost_estimated`` is in US dollars, sizes are in characters.

    ``estimated`` marks token counts that the provider did not give, or gave absurdly, and that were made from the
    lengths of the texts. ``context_size`` is what was sent, ``diff_size`` the text of the answer's files or documents.
    """

    __tablename__ = "ds_metrics"

    run_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None] = mapped_column(index=True)
    operation_type: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(20))
    model_used: Mapped[str] = mapped_column(String(200))
    tokens_input: Mapped[int]
    tokens_output: Mapped[int]
    cost_estimated: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    estimated: Mapped[bool] = mapped_column(default=False)
    duration_ms: Mapped[int]
    success: Mapped[bool]
    context_size: Mapped[int | None]
    diff_size: Mapped[int | None]
