//! Routes by number: how the server counts what they answer, and how it finds the line of the
//! configuration that says them.

use super::rule::{self, RouteNumber};
use super::{ANY_HOST, Site};

impl Site {
    /// Gives each route that answers a number, by its host and its pattern as in
    /// [`routes`](Self::routes); [`answer`](Self::answer) tells it. It is for a site that has not
    /// answered yet.
    pub fn number_routes(&mut self, mut number: impl FnMut(&str, &str) -> RouteNumber) {
        for host in &self.hosts {
            let name = host.names.first().map_or(ANY_HOST, String::as_str);
            host.table.number_routes(|pattern| number(name, pattern));
        }
    }

    /// Where the configuration says the route of this number.
    #[must_use]
    pub fn place_of(&self, number: RouteNumber) -> Option<&rule::Place> {
        let mut routes = self.hosts.iter().flat_map(|host| host.table.routes());
        routes.find(|route| route.number.get() == number)?.place.as_ref()
    }
}
