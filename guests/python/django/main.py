"""A Django application in one file, by way of WSGI: sessions, a form, the database, and an asynchronous view."""

import asyncio

from django.conf import settings

settings.configure(
    # A real one comes from the environment; what is written here is in the component.
    SECRET_KEY="not a secret, and long enough for Django to take it for one",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/books.sqlite"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

app = get_wsgi_application()

from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


class Book(models.Model):
    title = models.CharField(max_length=100)

    class Meta:
        app_label = "library"


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"]})


@csrf_exempt
def books(request):
    """A real application has migrations, which `manage.py migrate` runs before it is served."""
    if request.method == "POST":
        if Book._meta.db_table not in connection.introspection.table_names():
            with connection.schema_editor() as editor:
                editor.create_model(Book)
        with transaction.atomic():
            Book.objects.create(title=request.POST["title"])
    return JsonResponse({"books": list(Book.objects.order_by("id").values_list("title", flat=True))})


async def slow(request):
    await asyncio.sleep(0.01)
    return JsonResponse({"books": await Book.objects.acount()})


def protected(request):
    return HttpResponse("who asks by POST needs a token")


def lines(request):
    return StreamingHttpResponse(f"line {number}\n" for number in range(3))


def hello(request, name):
    template = engines["django"].from_string("Hello {{ name }}!")
    return HttpResponse(template.render({"name": name}, request))


def throw(request):
    raise ValueError("inside of Django")


urlpatterns = [
    path("count", count),
    path("books", books),
    path("slow", slow),
    path("protected", protected),
    path("lines", lines),
    path("hello/<name>", hello),
    path("throw", throw),
]
