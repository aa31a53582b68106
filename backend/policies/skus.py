"""Who may see a SKU."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, bindparam

from backend.models.skus import Sku

VISIBLE: ColumnElement[bool] = and_(Sku.removed_at.is_(None), Sku.merchant_id == bindparam("p_actor"))
