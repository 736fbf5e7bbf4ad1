"""The operator's and the participant's pages of studies."""

from fastapi import APIRouter

router = APIRouter(tags=["Studies"])
