"""How every client of ours reaches the cluster: the settings as keyword arguments of aiokafka and Faust.

Enters: `Settings` and the files they name. Leaves: arguments; nothing is connected here.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journey_stream.errors import SettingsError

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

    from journey_stream.settings import Security, Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that every aiokafka consumer, producer and admin client of ours is made with.

    Raises:
        SettingsError: a certificate or password file cannot be read.
    """
    security = settings.security
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "security_protocol": security.protocol,
    }
    if security.protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(security)
    if security.protocol.startswith("SASL"):
        options["sasl_mechanism"] = security.sasl_mechanism
        options["sasl_plain_username"] = security.sasl_username
        options["sasl_plain_password"] = password(security)
    return options


def faust_broker(settings: Settings) -> list[str]:
    """Return the brokers as Faust wants them."""
    return [f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")]


def faust_credentials(settings: Settings) -> CredentialsT | None:
    """Return the same credentials as Faust's `broker_credentials`, or None for a plain cluster."""
    import faust  # (only the worker needs Faust; the rest of the command line starts quicker)

    security = settings.security
    if security.protocol == "PLAINTEXT":
        return None
    context = ssl_context(security) if security.protocol.endswith("SSL") else None
    if not security.protocol.startswith("SASL"):
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=security.sasl_username,
        password=password(security),
        ssl_context=context,
        mechanism=security.sasl_mechanism,
    )


def ssl_context(security: Security) -> ssl.SSLContext:
    """Return the TLS context that the settings describe.

    Raises:
        SettingsError: a file is missing or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=security.ssl_cafile or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(_unreadable("ssl_cafile", security.ssl_cafile, error)) from None
    context.check_hostname = security.ssl_check_hostname
    if security.ssl_certfile:
        try:
            context.load_cert_chain(security.ssl_certfile, security.ssl_keyfile or None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(_unreadable("ssl_certfile", security.ssl_certfile, error)) from None
    return context


def password(security: Security) -> str | None:
    """Return the password, from its file when it is kept in one.

    Raises:
        SettingsError: the file cannot be read.
    """
    if not security.sasl_password_file:
        return security.sasl_password
    try:
        return Path(security.sasl_password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(_unreadable("sasl_password_file", security.sasl_password_file, error)) from None


def _unreadable(key: str, file: str | None, error: Exception) -> str:
    why = getattr(error, "strerror", None) or str(error)
    return f"`security.{key}`: cannot use {file}: {why}. Name a readable file with PEM or text inside"
