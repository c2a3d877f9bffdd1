"""The deployment files must agree with the code. No Docker engine is needed to see that."""

import re
import tomllib
from typing import Any

import pytest
import typer
import yaml

from marketlens import app
from ops.processes import PROCESSES
from settings import Settings
from tests.support.paths import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def command_path(arguments: list[str]) -> None:
    """Parse the arguments with the real command line, without running the command."""
    command = typer.main.get_command(app)
    context = command.make_context("marketlens", list(arguments), resilient_parsing=True)
    name, found, rest = command.resolve_command(context, [*arguments])  # type: ignore[attr-defined]
    assert found is not None, f"no command {name}"
    found.make_context(name, rest)


def test_services_are_the_same_processes_as_started_locally() -> None:
    long_running = {
        name: tuple(item["command"]) for name, item in OURS.items() if name != "migrate"
    }
    assert long_running == {spec.name: spec.arguments for spec in PROCESSES}


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists_and_parses(name: str) -> None:
    command_path(OURS[name]["command"])
    if check := OURS[name].get("healthcheck"):
        kind, program, *arguments = check["test"]
        assert kind == "CMD"
        if program == "marketlens":
            command_path(arguments)
        else:
            assert program == "python"
            compile(arguments[1], "healthcheck", "exec")


def test_every_variable_is_a_setting() -> None:
    named = set(
        re.findall(r"MARKETLENS_([A-Z_]+)", (REPOSITORY / "docker-compose.yml").read_text())
    )
    named |= set(re.findall(r"MARKETLENS_([A-Z_]+)", DOCKERFILE))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_settings_of_the_env_file_reach_every_process() -> None:
    fixed = {"MARKETLENS_DATABASE_URL", "MARKETLENS_REDIS_URL", "MARKETLENS_DATA_DIR"}
    for name, service in OURS.items():
        assert service["env_file"] == [{"path": ".env", "required": False}], name
        # What is stated for a service has precedence over its file.
        assert set(service["environment"]) - {"MARKETLENS_HOST"} == fixed, name


def test_every_image_is_pinned_to_a_version() -> None:
    images = [item["image"] for name, item in SERVICES.items() if name not in OURS]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert images
    for image in images:
        assert re.search(r":\d+\.\d+\.?\d*-", image), image


def test_the_image_is_tagged_with_this_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {item["image"] for item in OURS.values()} == {f"marketlens:{project['version']}"}


def test_redis_never_evicts_a_job_and_survives_a_restart() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_every_long_running_service_has_a_health_check() -> None:
    assert all("healthcheck" in item for name, item in SERVICES.items() if name != "migrate")


def test_volumes_are_declared() -> None:
    used = {
        volume.split(":")[0] for item in SERVICES.values() for volume in item.get("volumes", [])
    }
    assert used == set(COMPOSE["volumes"])


def test_the_container_is_not_root_and_gets_every_package() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER (?!root)", final, re.MULTILINE)
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}
    assert copied == packages
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    modules = {f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]}
    assert modules <= set(re.findall(r"\w+\.py\b", DOCKERFILE))
    ignored = (REPOSITORY / ".dockerignore").read_text()
    assert all(f"!{name}\n" in ignored for name in packages | modules)


def stages() -> dict[str, str]:
    """The stages of the Dockerfile by name; the image itself has none."""
    found = {}
    for text in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]:
        named = re.match(r"FROM \S+(?: AS (\w+))?", text)
        assert named is not None
        found[named[1] or ""] = text
    return found


def test_the_image_runs_as_a_numbered_user_who_owns_only_the_data() -> None:
    image = stages()[""]
    # Kubernetes' `runAsNonRoot` can't know whether a name is root.
    (user,) = re.findall(r"^USER (\d+):(\d+)$", image, re.MULTILINE)
    assert "0" not in user
    assert f"--uid {user[0]} --gid {user[1]}" in image
    assert "chmod 0700 /var/lib/marketlens" in image
    assert image.index("USER") > image.rindex("RUN")
    assert "--chown" not in DOCKERFILE
    assert "ADD " not in DOCKERFILE


def test_the_image_is_built_from_the_lock_and_says_what_is_in_it() -> None:
    build, bill, image = stages()["build"], stages()["sbom"], stages()[""]
    installs = re.findall(r"pip install (.*)", build)
    assert all("--no-deps" in line for line in installs)
    assert "--require-hashes --no-deps --requirement requirements.lock" in installs
    assert any(line.startswith("--no-deps --no-build-isolation .") for line in installs)
    assert "pip install" not in image
    assert re.search(r"cyclonedx-bom==[\d.]+$", bill, re.MULTILINE)
    assert "cyclonedx-py environment /opt/marketlens/bin/python" in bill
    assert "COPY --from=sbom /sbom.cdx.json /opt/marketlens/sbom.cdx.json" in image
    assert "!requirements.lock" in (REPOSITORY / ".dockerignore").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_change_its_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert not {"cap_add", "privileged", "devices", "network_mode", "pid", "ipc"} & set(service)
    assert all("noexec" in place and "size=" in place for place in service["tmpfs"])
    # Ours has its own in the image.
    assert name in OURS or service["user"] not in {"root", "0"}
    mounted = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    assert all(volume in COMPOSE["volumes"] for volume in mounted)


def test_servers_of_data_are_reached_from_within_only() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    for name in ("redis", "postgres"):
        assert SERVICES[name]["networks"] == ["data"]
        assert "ports" not in SERVICES[name]
    assert [name for name, item in SERVICES.items() if "ports" in item] == ["api"]


def test_torch_is_the_cpu_build() -> None:
    assert re.search(r"--index-url https://download\.pytorch\.org/whl/cpu torch==", DOCKERFILE)
