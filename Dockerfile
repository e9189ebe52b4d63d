# syntax is the classic one on purpose: any builder can build it.
# Another base with Node >= 24 can be given: --build-arg NODE_IMAGE=...
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    HTTP_HOST=0.0.0.0 \
    HTTP_PORT=9464 \
    STATE_DIR=/var/lib/iterable-sync \
    RESULTS_DIR=/var/lib/iterable-sync \
    LOG_FILE=off
# Numeric, so that an orchestrator can see that it isn't root. The folder is the only one written to,
# so the rest may be read-only: docker run --read-only --tmpfs /tmp.
RUN mkdir -p /var/lib/iterable-sync && chmod 0700 /var/lib/iterable-sync \
  && chown 1000:1000 /var/lib/iterable-sync
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY config ./config
COPY sql ./sql
USER 1000:1000
VOLUME /var/lib/iterable-sync
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.HTTP_PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The program handles SIGTERM and SIGINT itself: it needs no init in front of it.
ENTRYPOINT ["node", "--max-old-space-size=400", "--max-semi-space-size=8", "/app/dist/main.js"]
CMD ["run"]
