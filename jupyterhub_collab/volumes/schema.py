"""Table of what scratch volumes are about to lose."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from jupyterhub_collab.tables import Table, UtcDateTime, key


class ScratchRow(Table):
    """A scratch volume as the Hub's process last saw it; by its own name, since a person's may be given again."""

    __tablename__ = "scratch_volumes"

    volume: Mapped[str] = mapped_column(key(80), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    going: Mapped[int] = mapped_column(BigInteger)
    goes_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
