"""/api/studies: making, changing, sharing, exporting and erasing studies."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
