"""/api/take-part and /api/participant: what a participant's pages ask."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
