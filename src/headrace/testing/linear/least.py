"""What a query asks for and the world does not hold: null, or, where that may not be, the least that its type
allows. And which of several types a value is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql import GraphQLAbstractType, GraphQLOutputType, GraphQLResolveInfo

_LEAST: dict[str, Any] = {"Int": 0, "Float": 0.0, "Boolean": False, "DateTime": "1970-01-01T00:00:00.000Z"}


def held_or_least(source: Any, info: "GraphQLResolveInfo[Any]", **asked: Any) -> Any:
    """The resolver of every field."""
    from graphql import default_field_resolver, is_non_null_type

    found = default_field_resolver(source, info, **asked)
    if found is None and is_non_null_type(info.return_type):
        return _least(info, info.return_type.of_type)
    return found


def type_with(value: Any, info: "GraphQLResolveInfo[Any]", kind: "GraphQLAbstractType") -> str:
    """The resolver of unions and interfaces: the type that a value names, else the first that has all its fields."""
    if "__typename" in value:
        return str(value["__typename"])
    return next(each.name for each in info.schema.get_possible_types(kind) if value.keys() <= each.fields.keys())


def _least(info: "GraphQLResolveInfo[Any]", kind: "GraphQLOutputType") -> Any:
    from graphql import is_abstract_type, is_enum_type, is_list_type, is_scalar_type

    if is_list_type(kind):
        return []
    if is_enum_type(kind):
        return next(iter(kind.values.values())).value
    if is_scalar_type(kind):
        return _LEAST.get(kind.name, "")
    if is_abstract_type(kind):
        return {"__typename": info.schema.get_possible_types(kind)[0].name}
    return {}
