"""ThumbnailDelivery: thumbnails through CloudFront, each in the best format that the client accepts."""

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
from thumbsmith.cdk.parts import ACCESS_LOGS, EDGE_TLS, NO_FIREWALL, NO_GEO_RESTRICTION, acknowledge, require_policy
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import SMALLEST_FIRST
from thumbsmith.recipe.names import density_mark

EDGE_FOLDER: Final = Path(__file__).with_name("edge")

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-functions
MAX_CODE_BYTES: Final = 10_240

# CloudFront caches the answer for a missing thumbnail for this time only, since the thumbnail may be in progress.
MISSING_TTL: Final = Duration.seconds(5)

# A thumbnail that a browser opens as a page may load and run nothing.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
)


class ThumbnailDelivery(Construct):
    """CloudFront in front of the destination of a generator.

    `/KEY/small` gets the format that `Accept` prefers. `/KEY/small.webp` gets that file. With `?v=`, as in the `srcset`
    of a manifest, clients may cache it for a year.

    Props:

    - `thumbnails`: the ThumbnailGenerator whose destination and recipe are used.
    - `domain_names`: your domain names. They need a `certificate` in us-east-1.
    - `log_bucket`: a bucket for access logs, with ACLs enabled. `log_prefix`: the prefix of their keys.
    - `allow_origins`: origins of pages that may fetch manifests and use thumbnails in a canvas (CORS). Default: all
      ("*"). Each page may show thumbnails.
    - `distribution_props`: props of `aws_cloudfront.Distribution`. They win over the props above.

    Attributes: `distribution`, `url`, `reading` (the statement that lets the distribution read the bucket).
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
        """Create all parts. For an imported bucket or key there is a warning, and an output with the policy to add.

        Raises UsageError, one sentence, for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.instance("thumbnails", thumbnails, ThumbnailGenerator)
        domain_names = checks.texts("domain_names", domain_names, "img.example.com")
        if bool(domain_names) != (certificate is not None):
            raise UsageError("domain_names: expected a certificate of us-east-1 with them, and none without them")
        if certificate is not None:
            checks.resource("certificate", certificate, "certificate_arn", "a certificate, such as an acm.Certificate")
        if log_bucket is not None:
            checks.bucket("log_bucket", log_bucket)
        elif log_prefix:
            raise UsageError("log_prefix: expected a log_bucket with it")
        self.origins = checks.origins("allow_origins", allow_origins, any_origin=True)
        theirs = checks.by_name("distribution_props", distribution_props)
        recipe = Recipe.default() if thumbnails.recipe is None else Recipe.loads(thumbnails.recipe, file="recipe")
        destination = thumbnails.destination
        ours: dict[str, Any] = {
            "default_behavior": self._behavior(destination.bucket, destination.prefix, recipe),
            "error_responses": [cloudfront.ErrorResponse(http_status=403, ttl=MISSING_TTL)],
            "http_version": cloudfront.HttpVersion.HTTP2_AND_3,
            "minimum_protocol_version": cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            "domain_names": list(domain_names) or None,
            "certificate": certificate,
            "log_bucket": log_bucket,
            "log_file_prefix": (log_prefix or None) if log_bucket else None,
        }
        self.distribution = checks.construct(
            cloudfront.Distribution, self, "Distribution", ours, "distribution_props", theirs
        )
        self.url = f"https://{domain_names[0] if domain_names else self.distribution.distribution_domain_name}"
        self.reading = self._reading(destination.objects_arn)
        self._allow_reads(destination.bucket)
        reasons = {"CFR1": NO_GEO_RESTRICTION, "CFR2": NO_FIREWALL}
        acknowledge(self, reasons | ({} if certificate else {"CFR4": EDGE_TLS}))
        acknowledge(self, {} if log_bucket else {"CFR3": ACCESS_LOGS})
        Tags.of(self).add("thumbsmith", self.node.path)

    def _allow_reads(self, bucket: s3.IBucket) -> None:
        """Let the distribution read the bucket and use its key. For an imported one, output the policy to add."""
        if not bucket.add_to_resource_policy(self.reading).statement_added:
            what = "The policy of the imported destination bucket must let CloudFront read. Else each answer is 403."
            require_policy(self, "BucketPolicy", what, [self.reading])
        key: kms.IKey | None = bucket.encryption_key
        if key is None:
            return
        # All distributions of the account: one distribution would be a cycle of key, bucket and distribution.
        distributions = Stack.of(self).format_arn(
            service="cloudfront", region="", resource="distribution", resource_name="*"
        )
        use = iam.PolicyStatement(
            sid="LetDistributionsDecrypt",
            principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
            actions=["kms:Decrypt"],
            resources=["*"],
            conditions={"ArnLike": {"AWS:SourceArn": distributions}},
        )
        if not key.add_to_resource_policy(use).statement_added:
            what = "The policy of the destination's imported key must let CloudFront decrypt. Else each answer is 403."
            require_policy(self, "KeyPolicy", what, [use])

    def _behavior(self, bucket: s3.IBucket, prefix: str, recipe: Recipe) -> cloudfront.BehaviorOptions:
        # CDK's own method lets the distribution read the whole bucket. `reading` is limited to the prefix.
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
            compress=False,  # image files are compressed
            cache_policy=self._cache_policy(),
            response_headers_policy=self._headers(),
            function_associations=[
                self._edge_function(cloudfront.FunctionEventType.VIEWER_REQUEST, request_code(recipe)),
                self._edge_function(cloudfront.FunctionEventType.VIEWER_RESPONSE, _code("response")),
            ],
        )

    def _edge_function(self, event: cloudfront.FunctionEventType, code: str) -> cloudfront.FunctionAssociation:
        function = cloudfront.Function(
            self,
            "Request" if event is cloudfront.FunctionEventType.VIEWER_REQUEST else "Response",
            code=cloudfront.FunctionCode.from_inline(code),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        return cloudfront.FunctionAssociation(event_type=event, function=function)

    def _cache_policy(self) -> cloudfront.CachePolicy:
        """Return the cache policy: by file name, after negotiation, and `?v=`. Each file states its own lifetime."""
        return cloudfront.CachePolicy(
            self,
            "Caching",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.seconds(60),
            max_ttl=Duration.days(365),
            query_string_behavior=cloudfront.CacheQueryStringBehavior.allow_list("v"),
        )

    def _headers(self) -> cloudfront.ResponseHeadersPolicy:
        """Return the headers of each answer: https://owasp.org/www-project-secure-headers/."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            cors_behavior=self._cors(),
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=CONTENT_SECURITY_POLICY, override=True
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
        """Return the headers for pages of other origins; None without origins."""
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
        """Return the statement that lets only this distribution read thumbnails. It cannot list them.

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
    """Return the code of the edge function for requests, with the variants of the recipe.

    A variant with the format of its source has no fixed format, so clients must request it with its extension. Raises
    RecipeError if the code is too large for CloudFront.
    """
    formats_by_name = {
        f"{each.name}{density_mark(each.density)}": [
            [kind.media_type, kind.extension] for kind in SMALLEST_FIRST if kind in each.formats
        ]
        for each in recipe.variants_by_density
    }
    table = json.dumps({name: formats for name, formats in formats_by_name.items() if formats}, separators=(",", ":"))
    code = _code("request").replace("const VARIANTS = {};", f"const VARIANTS = {table};")
    if len(code.encode()) > MAX_CODE_BYTES:
        raise RecipeError(
            f"recipe: expected variants that fit in a CloudFront function of {MAX_CODE_BYTES} bytes,"
            f" found {len(formats_by_name)}"
        )
    return code


def _code(name: str) -> str:
    return (EDGE_FOLDER / f"{name}.js").read_text(encoding="utf-8")
