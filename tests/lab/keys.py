"""The application's keys, as somebody has put them into the Parameter Store by hand."""

from __future__ import annotations

from tests.lab.aws import PEEK, Aws


def put_first(aws: Aws, key: str, value: str = "first-of-all", environment: str = "prod") -> bool:
    """Put a key there where it is not there yet; whether it was put."""
    ssm = aws.client("ssm", PEEK)
    try:
        ssm.put_parameter(Name=f"/app/{environment}/{key}", Value=value, Type="SecureString")
    except ssm.exceptions.ParameterAlreadyExists:
        return False
    return True
