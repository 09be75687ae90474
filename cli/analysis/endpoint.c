#include "analysis/analysis.h"

bool endpoint_is_connection(const struct endpoint *endpoint) {
    return !endpoint->listened && !endpoint->failed && !address_is_unspecified(&endpoint->remote) &&
           !address_is_unspecified(&endpoint->local);
}

bool endpoint_is_failed_connect(const struct endpoint *endpoint) {
    return endpoint->failed && !address_is_unspecified(&endpoint->remote);
}

bool endpoint_stands(const struct endpoint *endpoint) {
    if (!endpoint_is_connection(endpoint))
        return false;
    if (!endpoint->peer)
        return true;
    if (endpoint->role != endpoint->peer->role)
        return endpoint->role == ROLE_CLIENT || endpoint->peer->role == ROLE_SERVER;
    return endpoint->cookie < endpoint->peer->cookie;
}
