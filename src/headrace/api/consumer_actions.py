"""What can be done with a consumer beside changing it: reset, dead letters, replay."""

from fastapi import APIRouter

router = APIRouter(tags=["consumers"])
