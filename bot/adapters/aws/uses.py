"""Uses: everything of the account that needs an image, asked in pages and not image by image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bot.adapters.aws.errors import Answered
from bot.adapters.aws.instances import THERE, Instances
from bot.adapters.aws.records import Use
from bot.errors import Failed

TEMPLATES = 200  # the most that EC2 gives of templates, or of a template's versions, at once
GROUPS = 100  # the most that Auto Scaling gives at once
PARAMETERS = 10  # the most that SSM takes at once
WIDTH = 8  # templates that are asked at the same time
PARAMETER = "resolve:ssm:"  # a template may name a parameter that names the image
PUBLIC = "/aws/service/"  # where AWS's own parameters are: they name no image of ours
DOING = "asking AWS which images are in use"


@dataclass(frozen=True)
class Template:
    """A launch template: the image of each version."""

    id: str
    name: str
    default: str
    latest: str
    images: Mapping[str, str]

    def image(self, version: str) -> str:
        numbers = {"$Latest": self.latest, "$Default": self.default, "": self.default}
        return self.images.get(numbers.get(version, version), "")


class Uses(Instances):
    """How uses are found. What cannot be asked is an error: unknown is not unused."""

    def uses(self) -> tuple[Use, ...]:
        """Return what instances, launch templates and Auto Scaling groups need.

        Stopped instances need their image too, and so does every version of a launch template, and
        a launch configuration that no group has at the moment.
        """
        templates = self._templates()
        found = {
            *(
                Use(row["ImageId"], row["InstanceId"])
                for row in self._described(DOING, {"instance-state-name": THERE})
                if row.get("ImageId")
            ),
            *(
                Use(image, f"{template.id} version {version}")
                for template in templates
                for version, image in template.images.items()
            ),
            *self._of_groups(templates),
        }
        return tuple(sorted(found, key=lambda use: (use.image, use.by)))

    def _templates(self) -> list[Template]:
        rows = self._all(
            DOING,
            "ec2",
            "describe_launch_templates",
            PaginationConfig={"PageSize": TEMPLATES},
        ).get("LaunchTemplates", ())
        with ThreadPoolExecutor(WIDTH) as pool:
            images = list(pool.map(lambda row: self._versions(row["LaunchTemplateId"]), rows))
        meant = self._parameters(i for versions in images for i in versions.values())
        return [
            Template(
                id=row["LaunchTemplateId"],
                name=row["LaunchTemplateName"],
                default=str(row["DefaultVersionNumber"]),
                latest=str(row["LatestVersionNumber"]),
                images={v: i for v, named in has.items() if (i := meant.get(named, named))},
            )
            for row, has in zip(rows, images, strict=True)
        ]

    def _versions(self, template: str) -> dict[str, str]:
        try:
            rows = self._all(
                DOING,
                "ec2",
                "describe_launch_template_versions",
                LaunchTemplateId=template,
                PaginationConfig={"PageSize": TEMPLATES},
            ).get("LaunchTemplateVersions", ())
        except Answered as error:
            if error.code.startswith("InvalidLaunchTemplateId.NotFound"):
                return {}  # deleted since it was listed
            raise
        named = {str(r["VersionNumber"]): r["LaunchTemplateData"].get("ImageId") for r in rows}
        return {version: image for version, image in named.items() if image}

    def _parameters(self, named: Iterable[str]) -> dict[str, str]:
        """Return the images that parameters of SSM mean; nothing for one that is gone."""
        asked = {n.removeprefix(PARAMETER) for n in named if n.startswith(PARAMETER)}
        found = {n: "" for n in asked if n.rpartition(":parameter")[2].startswith(PUBLIC)}
        names = sorted(asked - found.keys())
        for at in range(0, len(names), PARAMETERS):
            answer = self._call(DOING, "ssm", "get_parameters", Names=names[at : at + PARAMETERS])
            found |= dict.fromkeys(answer.get("InvalidParameters", ()), "")
            for row in answer["Parameters"]:
                version = str(row.get("Selector") or "").strip(":")
                for name in (row["Name"], row.get("ARN", "")):
                    found[f"{name}:{version}" if version else name] = row["Value"]
        if lost := [name for name in names if name not in found]:
            raise Failed(f"{DOING}: SSM does not say what {', '.join(lost)} stands for")
        return {f"{PARAMETER}{name}": image for name, image in found.items()}

    def _of_groups(self, templates: Iterable[Template]) -> Iterator[Use]:
        named = {key: template for template in templates for key in (template.id, template.name)}
        groups = self._scaling("describe_auto_scaling_groups")["AutoScalingGroups"]
        configurations = {
            row["LaunchConfigurationName"]: row["ImageId"]
            for row in self._scaling("describe_launch_configurations")["LaunchConfigurations"]
        }
        for name, image in configurations.items():
            yield Use(image, f"launch configuration {name}")
        for group in groups:
            by = f"scaling group {group['AutoScalingGroupName']}"
            images = [configurations.get(group.get("LaunchConfigurationName", ""), "")]
            for spec in _specifications(group):
                images.append(spec.get("ImageId", ""))
                template = named.get(
                    spec.get("LaunchTemplateId") or spec.get("LaunchTemplateName") or ""
                )
                if template:
                    images.append(template.image(spec.get("Version", "")))
            yield from (Use(image, by) for image in images if image)

    def _scaling(self, verb: str) -> Any:
        return self._all(DOING, "autoscaling", verb, PaginationConfig={"PageSize": GROUPS})


def _specifications(group: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Yield whatever of a group names a template, a version or an image."""
    yield group.get("LaunchTemplate", {})
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    yield mixed.get("LaunchTemplateSpecification", {})
    for override in mixed.get("Overrides", ()):
        yield override.get("LaunchTemplateSpecification", {})
        yield {"ImageId": override.get("ImageId", "")}
