"""`/previews`: what a variant of any recipe would look like."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Recipe
from thumbsmith.web.bodies import field, read_object
from thumbsmith.web.problems import Problem
from thumbsmith.web.rendering import Rendering


@dataclass(frozen=True, slots=True)
class Previews:
    """The endpoint of `/previews`. Nothing that it is sent or makes is kept."""

    rendering: Rendering

    async def preview(self, request: Request) -> Response:
        """Answer with one variant of a recipe, made of an image that is here, and kept nowhere. 200; 400, 404, 422."""
        content = await read_object(request, frozenset({"toml", "variant", "key"}))
        key, name = field(content, "key", str), field(content, "variant", str)
        picture = await self.rendering.picture(key, self._only(field(content, "toml", str), name))
        about = {"X-Thumbsmith-Size": f"{picture.width}x{picture.height}", "Cache-Control": "no-store"}
        return Response(picture.data, 200, about, picture.format.media_type)

    def _only(self, toml: str, name: str) -> Recipe:
        """Return a recipe of one variant in one format, within the limits that hold here. Raises Problem."""
        try:
            recipe = Recipe.loads(toml)
        except RecipeError as error:
            raise Problem(400, str(error), code="bad_recipe") from None
        for variant in recipe.variants:
            if variant.name == name:
                one = replace(variant, formats=variant.formats[:1])
                return replace(recipe, variants=(one,), limits=self.rendering.library.recipe.limits)
        raise Problem(404, "The recipe has no variant of this name.", code="not_found")
