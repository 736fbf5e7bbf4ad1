"""The result of a job."""

from fastapi import APIRouter

router = APIRouter()
