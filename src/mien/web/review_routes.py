"""Reviews of studies: as JSON, page, paper and tables."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
