"""One camera that sees many people while a film plays."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
