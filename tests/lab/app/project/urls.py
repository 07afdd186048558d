"""The application's addresses."""

from django.conf import settings
from django.urls import path
from django.views.static import serve

from pages import views

urlpatterns = [
    path("", views.front),
    path("healthz", views.healthz),
    path("slow", views.slow),
    path("big", views.big),
    path("environment", views.environment),
    path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}),
]
