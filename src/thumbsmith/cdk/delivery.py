"""The construct: thumbnails by CloudFront, each in the best format that its client reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aws_cdk import Duration, Stack, Tags
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk import props as checks
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.parts import ACCESS_LOGS, EDGE_TLS, EVERYWHERE, FIREWALL, acknowledge, ask_for_policy
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Format, Recipe
from thumbsmith.recipe.names import density_mark

EDGE: Final = Path(__file__).with_name("edge")

# From the format that takes the least bytes to the one that takes the most, of photographs.
SMALLEST_FIRST: Final = (Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-functions
CODE_BYTES: Final = 10_240

# Seconds for which it is remembered that there is no such thumbnail: it may be in the making.
ABSENT: Final = Duration.seconds(5)

# What a thumbnail may do where it is opened by itself: nothing.
POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"


class ThumbnailDelivery(Construct):
    """CloudFront before the destination of a generator; every part of it is an attribute.

    `distribution`, `url`, `reading` (the statement by which it reads the bucket).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        thumbnails: ThumbnailGenerator,
        domain_names: Sequence[str] = (),
        certificate: acm.ICertificate | None = None,
        log_bucket: s3.IBucket | None = None,
        log_prefix: str = "",
        allow_origins: Sequence[str] = ("*",),
        distribution_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Make all parts, for the destination and recipe of `thumbnails`.

        `/KEY/small` is answered in the format that `Accept` wants most, `/KEY/small.webp` is that file, and with `?v=`
        as in a manifest's `srcset` it may be kept for a year. `domain_names` need a `certificate`, of us-east-1.
        `log_bucket` takes a log of every access; its ACLs have to be on. Pages of `allow_origins` (by default "*", all)
        may fetch manifests and use thumbnails in a canvas (CORS); any page may show thumbnails. `distribution_props`
        are props of `aws_cloudfront.Distribution` that win over all that is set here.

        A bucket or a key that the app does not make is its owner's to change: then there is a warning, and an output
        with the policy to add. Raises UsageError, one sentence, for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.one_of_ours("thumbnails", thumbnails, ThumbnailGenerator)
        domain_names = checks.texts("domain_names", domain_names, "img.example.com")
        if bool(domain_names) != (certificate is not None):
            raise UsageError("domain_names: expected a certificate with them, of region us-east-1, and none without")
        if certificate is not None:
            checks.resource("certificate", certificate, "certificate_arn", "a certificate, as an acm.Certificate")
        if log_bucket is not None:
            checks.bucket("log_bucket", log_bucket)
        elif log_prefix:
            raise UsageError("log_prefix: expected a log_bucket with it")
        self.origins = checks.origins("allow_origins", allow_origins, any_origin=True)
        further = checks.further("distribution_props", distribution_props)
        recipe = Recipe.default() if thumbnails.recipe is None else Recipe.loads(thumbnails.recipe, file="recipe")
        destination = thumbnails.destination
        given: dict[str, Any] = {
            "default_behavior": self._behavior(destination.bucket, destination.prefix, recipe),
            "error_responses": [cloudfront.ErrorResponse(http_status=403, ttl=ABSENT)],
            "http_version": cloudfront.HttpVersion.HTTP2_AND_3,
            "minimum_protocol_version": cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            "domain_names": list(domain_names) or None,
            "certificate": certificate,
            "log_bucket": log_bucket,
            "log_file_prefix": (log_prefix or None) if log_bucket else None,
        }
        self.distribution = checks.built(
            cloudfront.Distribution, self, "Distribution", given, "distribution_props", further
        )
        self.url = f"https://{domain_names[0] if domain_names else self.distribution.distribution_domain_name}"
        self.reading = self._reading(destination.objects_arn)
        self._let_read(destination.bucket)
        reasons = {"CFR1": EVERYWHERE, "CFR2": FIREWALL}
        acknowledge(self, reasons | ({} if certificate else {"CFR4": EDGE_TLS}))
        acknowledge(self, {} if log_bucket else {"CFR3": ACCESS_LOGS})
        Tags.of(self).add("thumbsmith", self.node.path)

    def _let_read(self, bucket: s3.IBucket) -> None:
        """Let the distribution read the bucket, and use its key; ask the owner of an imported one to."""
        if not bucket.add_to_resource_policy(self.reading).statement_added:
            what = "The policy of the imported destination bucket has to let CloudFront read, else each request is 403."
            ask_for_policy(self, "BucketPolicy", what, [self.reading])
        key: kms.IKey | None = bucket.encryption_key
        if key is None:
            return
        # Of all distributions of the account: the bucket refers to its key, and a distribution to its bucket.
        ours = Stack.of(self).format_arn(service="cloudfront", region="", resource="distribution", resource_name="*")
        use = iam.PolicyStatement(
            sid="LetDistributionsDecrypt",
            principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
            actions=["kms:Decrypt"],
            resources=["*"],
            conditions={"ArnLike": {"AWS:SourceArn": ours}},
        )
        if not key.add_to_resource_policy(use).statement_added:
            what = (
                "The policy of the destination's imported key has to let CloudFront decrypt, else each request is 403."
            )
            ask_for_policy(self, "KeyPolicy", what, [use])

    def _behavior(self, bucket: s3.IBucket, prefix: str, recipe: Recipe) -> cloudfront.BehaviorOptions:
        # CDK's own way lets the distribution read the whole bucket: `reading` is for what is under the prefix.
        access = cloudfront.S3OriginAccessControl(self, "Access", signing=cloudfront.Signing.SIGV4_ALWAYS)
        origin = origins.S3BucketOrigin.with_bucket_defaults(
            bucket,
            origin_access_control_id=access.origin_access_control_id,
            origin_path=f"/{prefix.rstrip('/')}" if prefix else None,
        )
        return cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD,
            compress=False,  # pictures are as small as they get
            cache_policy=self._caching(),
            response_headers_policy=self._headers(),
            function_associations=[
                self._at(cloudfront.FunctionEventType.VIEWER_REQUEST, request_code(recipe)),
                self._at(cloudfront.FunctionEventType.VIEWER_RESPONSE, _code("response")),
            ],
        )

    def _at(self, event: cloudfront.FunctionEventType, code: str) -> cloudfront.FunctionAssociation:
        function = cloudfront.Function(
            self,
            "Request" if event is cloudfront.FunctionEventType.VIEWER_REQUEST else "Response",
            code=cloudfront.FunctionCode.from_inline(code),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        return cloudfront.FunctionAssociation(event_type=event, function=function)

    def _caching(self) -> cloudfront.CachePolicy:
        """Return what a cache goes by: the file's name, after negotiation, and `?v=`; for how long, each file says."""
        return cloudfront.CachePolicy(
            self,
            "Caching",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.seconds(60),
            max_ttl=Duration.days(365),
            query_string_behavior=cloudfront.CacheQueryStringBehavior.allow_list("v"),
        )

    def _headers(self) -> cloudfront.ResponseHeadersPolicy:
        """Return the headers that every answer has: https://owasp.org/www-project-secure-headers/."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            cors_behavior=self._cors(),
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=POLICY, override=True
                ),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), override=True
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(
                        header="Cross-Origin-Resource-Policy", value="cross-origin", override=True
                    )
                ]
            ),
        )

    def _cors(self) -> cloudfront.ResponseHeadersCorsBehavior | None:
        """Return the headers for pages of other origins; None where no origin is named."""
        if not self.origins:
            return None
        return cloudfront.ResponseHeadersCorsBehavior(
            access_control_allow_credentials=False,
            access_control_allow_headers=["*"],
            access_control_allow_methods=["GET", "HEAD"],
            access_control_allow_origins=self.origins,
            access_control_expose_headers=["ETag"],
            origin_override=True,
        )

    def _reading(self, objects: str) -> iam.PolicyStatement:
        """Return that this distribution, and no other one, may read thumbnails; it lists nothing.

        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
        """
        return iam.PolicyStatement(
            sid="LetDistributionRead",
            principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
            actions=["s3:GetObject"],
            resources=[objects],
            conditions={"StringEquals": {"AWS:SourceArn": self.distribution.distribution_arn}},
        )


def request_code(recipe: Recipe) -> str:
    """Return the code of the function at requests, which knows what a recipe makes. Raises RecipeError for too much.

    A format that is the source's own is not known beforehand: it can be had by its full name alone.
    """
    known = {
        f"{each.name}{density_mark(each.density)}": [
            [kind.media_type, kind.extension] for kind in SMALLEST_FIRST if kind in each.formats
        ]
        for each in recipe.pictures
    }
    table = json.dumps({name: formats for name, formats in known.items() if formats}, separators=(",", ":"))
    code = _code("request").replace("const VARIANTS = {};", f"const VARIANTS = {table};")
    if len(code.encode()) > CODE_BYTES:
        raise RecipeError(
            f"recipe: expected variants that a CloudFront function of {CODE_BYTES} bytes can know, found {len(known)}"
        )
    return code


def _code(name: str) -> str:
    return (EDGE / f"{name}.js").read_text(encoding="utf-8")
