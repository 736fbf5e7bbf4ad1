"""The socket of a participant's camera."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
