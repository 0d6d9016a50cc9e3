//! A serializer. Takes a serialisable value; gives a tree of its parts, in the shapes that JSON has.

use std::{collections::BTreeMap, fmt::Display};

use serde::ser::{self, Serialize};

use super::{NoDigest, Part};

impl ser::Error for NoDigest {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The serializer. It gives the shapes that JSON gives: an enum is its name or a map of one entry, bytes are a list of numbers.
pub(super) struct Walk;

pub(super) struct ListWalk {
    variant: Option<&'static str>,
    parts: Vec<Part>,
}

pub(super) struct MapWalk {
    variant: Option<&'static str>,
    parts: BTreeMap<String, Part>,
    name: Option<String>,
}

fn inside(variant: Option<&'static str>, part: Part) -> Part {
    match variant {
        Some(variant) => Part::Map(BTreeMap::from([(variant.to_owned(), part)])),
        None => part,
    }
}

fn list(variant: Option<&'static str>) -> ListWalk {
    ListWalk { variant, parts: Vec::new() }
}

fn map(variant: Option<&'static str>) -> MapWalk {
    MapWalk { variant, parts: BTreeMap::new(), name: None }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<Part, NoDigest> {
            Ok(Part::Integer(value.into()))
        })*
    };
}

impl ser::Serializer for Walk {
    type Ok = Part;
    type Error = NoDigest;
    type SerializeSeq = ListWalk;
    type SerializeTuple = ListWalk;
    type SerializeTupleStruct = ListWalk;
    type SerializeTupleVariant = ListWalk;
    type SerializeMap = MapWalk;
    type SerializeStruct = MapWalk;
    type SerializeStructVariant = MapWalk;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_u128(self, value: u128) -> Result<Part, NoDigest> {
        let value = i128::try_from(value).map_err(|_| NoDigest(format!("{value} is too large a number")))?;
        Ok(Part::Integer(value))
    }

    fn serialize_bool(self, value: bool) -> Result<Part, NoDigest> {
        Ok(Part::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Part, NoDigest> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Part, NoDigest> {
        if value.is_finite() { Ok(Part::Float(value)) } else { Err(NoDigest(format!("{value} is not a finite number"))) }
    }

    fn serialize_char(self, value: char) -> Result<Part, NoDigest> {
        Ok(Part::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Part, NoDigest> {
        Ok(Part::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Part, NoDigest> {
        Ok(Part::List(value.iter().map(|byte| Part::Integer((*byte).into())).collect()))
    }

    fn serialize_none(self) -> Result<Part, NoDigest> {
        Ok(Part::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Part, NoDigest> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Part, NoDigest> {
        Ok(Part::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Part, NoDigest> {
        Ok(Part::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Part, NoDigest> {
        Ok(Part::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Part, NoDigest> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Part, NoDigest> {
        Ok(inside(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWalk, NoDigest> {
        Ok(list(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWalk, NoDigest> {
        Ok(list(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListWalk, NoDigest> {
        Ok(list(None))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<ListWalk, NoDigest> {
        Ok(list(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWalk, NoDigest> {
        Ok(map(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWalk, NoDigest> {
        Ok(map(None))
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<MapWalk, NoDigest> {
        Ok(map(Some(variant)))
    }
}

impl ListWalk {
    fn push(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), NoDigest> {
        self.parts.push(value.serialize(Walk)?);
        Ok(())
    }

    fn close(self) -> Part {
        inside(self.variant, Part::List(self.parts))
    }
}

macro_rules! lists {
    ($($kind:ident $method:ident),*) => {
        $(impl ser::$kind for ListWalk {
            type Ok = Part;
            type Error = NoDigest;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoDigest> {
                self.push(value)
            }

            fn end(self) -> Result<Part, NoDigest> {
                Ok(self.close())
            }
        })*
    };
}

lists! { SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field }

impl MapWalk {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), NoDigest> {
        self.parts.insert(name.to_owned(), value.serialize(Walk)?);
        Ok(())
    }

    fn close(self) -> Part {
        inside(self.variant, Part::Map(self.parts))
    }
}

macro_rules! structs {
    ($($kind:ident),*) => {
        $(impl ser::$kind for MapWalk {
            type Ok = Part;
            type Error = NoDigest;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NoDigest> {
                self.put(name, value)
            }

            fn end(self) -> Result<Part, NoDigest> {
                Ok(self.close())
            }
        })*
    };
}

structs! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for MapWalk {
    type Ok = Part;
    type Error = NoDigest;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoDigest> {
        self.name = Some(match key.serialize(Walk)? {
            Part::Text(text) => text,
            Part::Integer(value) => value.to_string(),
            Part::Bool(value) => value.to_string(),
            _ => {
                return Err(NoDigest("the key of a map is neither a text nor a whole number".to_owned()));
            }
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoDigest> {
        let name = self.name.take().expect("serde gives a map's key before its value");
        self.put(&name, value)
    }

    fn end(self) -> Result<Part, NoDigest> {
        Ok(self.close())
    }
}
